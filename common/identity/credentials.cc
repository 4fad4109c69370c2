#include "common/identity/credentials.h"

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace bramble {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;
using grpc::experimental::StaticDataCertificateProvider;

// gRPC would only log what is wrong with the files: find it out before.
Status CheckUsable(const IdentityStore& store) {
  ASSIGN_OR_RETURN(const NodeIdentity identity, store.Load());
  const double days = identity.DaysLeft(std::chrono::system_clock::now());
  if (days > 0) return {};
  return Failed("the certificate in '", store.folder(), "' expired ", -days,
                " days ago: check the clock, or join again with a new token");
}

std::shared_ptr<FileWatcherCertificateProvider> Watch(const IdentityStore& store,
                                                      unsigned refresh_seconds) {
  return std::make_shared<FileWatcherCertificateProvider>(store.key_path(), store.chain_path(),
                                                          store.root_path(), refresh_seconds);
}

}  // namespace

Result<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(const IdentityStore& store,
                                                                       ClientCertificates clients,
                                                                       unsigned refresh_seconds) {
  RETURN_IF_ERROR(CheckUsable(store));
  grpc::experimental::TlsServerCredentialsOptions options(Watch(store, refresh_seconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(clients == ClientCertificates::kRequired
                                    ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                    : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  auto credentials = grpc::experimental::TlsServerCredentials(options);
  if (credentials == nullptr) return Internal("gRPC refuses the server's TLS options");
  return credentials;
}

Result<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(const IdentityStore& store,
                                                                         unsigned refresh_seconds) {
  RETURN_IF_ERROR(CheckUsable(store));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(store, refresh_seconds));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  auto credentials = grpc::experimental::TlsCredentials(options);
  if (credentials == nullptr) return Internal("gRPC refuses the channel's TLS options");
  return credentials;
}

std::shared_ptr<grpc::ChannelCredentials> MakeJoinCredentials(const std::string& root_pem) {
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(std::make_shared<StaticDataCertificateProvider>(root_pem));
  options.watch_root_certs();
  return grpc::experimental::TlsCredentials(options);
}

void ExpectNode(const std::string& node_id, grpc::ChannelArguments* arguments) {
  arguments->SetSslTargetNameOverride(node_id);
}

Result<PeerIdentity> Peer(const grpc::AuthContext& context) {
  const std::vector<grpc::string_ref> uris = context.FindPropertyValues("peer_uri");
  if (uris.empty()) return Unauthenticated("the peer showed no certificate of this cluster");
  if (uris.size() > 1) {
    return Unauthenticated("the peer's certificate has ", uris.size(),
                           " URI names where exactly one belongs");
  }
  return ParseSpiffeId({uris[0].data(), uris[0].size()});
}

Result<PeerIdentity> RequirePeer(const grpc::AuthContext& context,
                                 std::initializer_list<Role> roles) {
  ASSIGN_OR_RETURN(PeerIdentity peer, Peer(context));
  if (std::find(roles.begin(), roles.end(), peer.role) != roles.end()) return peer;
  return Denied("'", peer.node_id, "' has the role ", RoleName(peer.role),
                ", which may not do this");
}

}  // namespace bramble
