#include "tests/common/identity/cluster_helpers.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <vector>

#include "common/grpc_status.h"
#include "common/identity/openssl.h"
#include "common/sha256.h"

namespace bramble::testing {
namespace {

TemporaryFolder NewFolder() {
  auto folder = TemporaryFolder::Make();
  CHECK(folder.ok());
  return *std::move(folder);
}

grpc::ByteBuffer BufferOf(const std::string& text) {
  const grpc::Slice slice(text);
  return {&slice, 1};
}

std::string TextOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  CHECK(buffer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

}  // namespace

TestCluster::TestCluster() : folder_(NewFolder()) {
  auto created = CertificateAuthority::Create(Path("authority"));
  CHECK(created.ok());
  authority_ = std::make_unique<CertificateAuthority>(*std::move(created));
}

NodeIdentity TestCluster::MakeMember(Role role, const std::string& node_id,
                                     const IssueOptions& options) const {
  const auto made = MakeKeyAndRequest(node_id);
  CHECK(made.ok());
  const auto issued = authority_->Issue(made->request_der, role, node_id, options);
  CHECK(issued.ok());
  auto identity = MakeNodeIdentity(made->key_pem, issued->chain_pem, authority_->root_pem());
  CHECK(identity.ok());
  return *std::move(identity);
}

IdentityStore TestCluster::AddMember(Role role, const std::string& node_id,
                                     const IssueOptions& options) const {
  IdentityStore store(Path("member-" + RandomBase32(10)));
  CHECK(store.Save(MakeMember(role, node_id, options)).ok());
  return store;
}

NodeIdentity TestCluster::MakeMemberWithNames(const std::string& subject_alternative_names) const {
  NodeIdentity identity = MakeMember(Role::kWorker, "odd");
  const auto authority_pem = ReadSmallFile(Path("authority/authority.pem"), 65536);
  const auto authority_key = KeyFromPem(*authority_pem, "the authority");
  const auto chain = CertificatesFromPem(identity.chain_pem, "the chain");
  X509* leaf = (*chain)[0].get();
  X509_EXTENSION_free(X509_delete_ext(leaf, X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1)));
  X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name,
                                              subject_alternative_names.c_str());
  CHECK(names != nullptr && X509_add_ext(leaf, names, -1) == 1);
  X509_EXTENSION_free(names);
  CHECK(X509_sign(leaf, authority_key->get(), EVP_sha256()) > 0);
  identity.chain_pem = CertificateToPem(leaf) + authority_->root_pem();
  return identity;
}

IssueOptions Expired() {
  IssueOptions options;
  options.now = std::chrono::system_clock::now() - std::chrono::hours(24 * 8);
  return options;
}

class WhoServer::Service : public grpc::CallbackGenericService {
 public:
  explicit Service(std::vector<Role> roles) : roles_(std::move(roles)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    // Lives until its OnDone.
    return new Reactor(*context->auth_context(),
                       roles_);  // NOLINT(cppcoreguidelines-owning-memory): gRPC's pattern
  }

 private:
  class Reactor : public grpc::ServerGenericBidiReactor {
   public:
    Reactor(const grpc::AuthContext& context, const std::vector<Role>& roles) {
      const auto peer = roles.size() == 1 ? RequirePeer(context, {roles[0]}) : Peer(context);
      if (!peer.ok()) {
        Finish(ToGrpc(peer.status()));
        return;
      }
      answer_ = BufferOf(std::string(RoleName(peer->role)) + "/" + peer->node_id + " of " +
                         peer->cluster_id);
      StartWriteAndFinish(&answer_, {}, grpc::Status::OK);
    }
    void OnDone() override {
      delete this;
    }  // NOLINT(cppcoreguidelines-owning-memory): gRPC's pattern

   private:
    grpc::ByteBuffer answer_;
  };

  std::vector<Role> roles_;
};

WhoServer::WhoServer(const std::shared_ptr<grpc::ServerCredentials>& credentials,
                     std::initializer_list<Role> roles)
    : service_(std::make_unique<Service>(std::vector<Role>(roles))) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
  builder.RegisterCallbackGenericService(service_.get());
  server_ = builder.BuildAndStart();
  CHECK(server_ != nullptr && port_ > 0);
}

WhoServer::~WhoServer() {
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

Result<std::string> WhoServer::Ask(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                                   const std::string& expected_node) const {
  grpc::ChannelArguments arguments;
  ExpectNode(expected_node, &arguments);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto channel =
      grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(port_), credentials, arguments);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  const grpc::ByteBuffer request = BufferOf("?");
  grpc::ByteBuffer answer;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/test/Who", {}, &request, &answer,
                 [&done](const grpc::Status& status) { done.set_value(status); });
  const grpc::Status status = done.get_future().get();
  if (!status.ok()) return FromGrpc(status);
  return TextOf(answer);
}

std::shared_ptr<grpc::ChannelCredentials> UncheckedChannelCredentials(
    const NodeIdentity& identity) {
  return grpc::SslCredentials({identity.root_pem, identity.key_pem, identity.chain_pem});
}

std::shared_ptr<grpc::ServerCredentials> UncheckedServerCredentials(const NodeIdentity& identity) {
  grpc::SslServerCredentialsOptions options(GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = identity.root_pem;
  options.pem_key_cert_pairs.push_back({identity.key_pem, identity.chain_pem});
  return grpc::SslServerCredentials(options);
}

}  // namespace bramble::testing
