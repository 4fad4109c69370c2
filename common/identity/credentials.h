#pragma once

#include <initializer_list>
#include <memory>
#include <string>

#include "common/identity/identity.h"
#include "common/identity/node_identity.h"
#include "common/status.h"

namespace grpc {
class AuthContext;
class ChannelArguments;
class ChannelCredentials;
class ServerCredentials;
}  // namespace grpc

namespace bramble {

enum class ClientCertificates {
  kRequired,   // the handshake fails without a valid one (workers)
  kRequested,  // a caller may have none, for Join; one that is shown must be valid (the
               // coordinator)
};

// Both follow the store's files: a renewed identity is used by the next handshakes, about
// `refresh_seconds` later at most. InvalidArgument or NotFound if the store holds no usable
// identity now; FailedPrecondition if it has expired.
Result<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const IdentityStore& store, ClientCertificates clients, unsigned refresh_seconds = 10);
Result<std::shared_ptr<grpc::ChannelCredentials>> MakeChannelCredentials(
    const IdentityStore& store, unsigned refresh_seconds = 10);

// For Join: trusts this root and shows no certificate.
std::shared_ptr<grpc::ChannelCredentials> MakeJoinCredentials(const std::string& root_pem);

// The channel may dial any address, but the peer must prove to be this node.
void ExpectNode(const std::string& node_id, grpc::ChannelArguments* arguments);

// Who is at the other end of a call (ServerContext or ClientContext::auth_context()).
// Unauthenticated if it showed no certificate or one without exactly one valid SPIFFE id.
Result<PeerIdentity> Peer(const grpc::AuthContext& context);
// The same, and PermissionDenied unless it has one of the roles. Every RPC but Join starts with
// this.
Result<PeerIdentity> RequirePeer(const grpc::AuthContext& context,
                                 std::initializer_list<Role> roles);

}  // namespace bramble
