#include "coordinator/cluster/server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>

#include "bramble/v1/cluster.grpc.pb.h"
#include "common/channel.h"
#include "common/identity/join_token.h"
#include "coordinator/cluster/admission.h"
#include "coordinator/cluster/attend.h"
#include "tests/coordinator/cluster/cluster_fixture.h"

namespace bramble::coordinator {
namespace {

using testing::HasSubstr;

void SetDeadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
}

v1::NodeFacts GoodFacts() {
  v1::NodeFacts facts;
  facts.set_address("127.0.0.1:4000");
  facts.set_memory_limit_bytes(1 << 30);
  return facts;
}

class ClusterServerTest : public ClusterFixture {
 protected:
  std::unique_ptr<v1::CoordinatorService::Stub> StubWith(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    return v1::CoordinatorService::NewStub(OpenChannel(
        address(), credentials,
        {.expected_node = kCoordinatorNodeId, .max_receive_bytes = std::size_t{2} << 20}));
  }

  std::unique_ptr<v1::CoordinatorService::Stub> JoinStub() const {
    return StubWith(MakeJoinCredentials(cluster_.authority().root_pem()));
  }

  // A member as the database knows it, with its credentials.
  std::unique_ptr<v1::CoordinatorService::Stub> MemberStub(const std::string& node_id,
                                                           Role role = Role::kWorker) {
    MemberRecord record;
    record.node_id = node_id;
    record.role = role;
    EXPECT_TRUE(store_->PutMember(record).ok());
    return StubWith(*MakeChannelCredentials(cluster_.Issue(role, node_id)));
  }

  grpc::Status Join(const std::string& token, const std::string& name,
                    v1::JoinResponse* response) const {
    const auto key = MakeKeyAndRequest(name);
    EXPECT_TRUE(key.ok());
    v1::JoinRequest request;
    request.set_token(token);
    request.set_wished_name(name);
    request.set_certificate_request(key->request_der);
    grpc::ClientContext context;
    SetDeadline(context);
    return JoinStub()->Join(&context, request, response);
  }

  // Still answers a member: proof that what came before did no harm.
  void ExpectServes() {
    const std::string hash = AddWeight("still here");
    grpc::ClientContext context;
    SetDeadline(context);
    v1::FetchWeightRequest request;
    request.set_sha256(hash);
    const auto stub = MemberStub("witness");
    const auto reader = stub->FetchWeight(&context, request);
    v1::FetchWeightResponse response;
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.data(), "still here");
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_TRUE(reader->Finish().ok());
  }
};

TEST_F(ClusterServerTest, AGoodTokenGetsACertificateAndIsThenUsedUp) {
  const std::string token = Token();
  v1::JoinResponse response;
  const grpc::Status joined = Join(token, "My Pi.local", &response);
  ASSERT_TRUE(joined.ok()) << joined.error_message();
  EXPECT_EQ(response.node_id(), "my-pi");
  EXPECT_EQ(response.cluster_id(), cluster_.authority().cluster_id());
  EXPECT_TRUE(store_->Member("my-pi").ok());
  const grpc::Status again = Join(token, "second", &response);
  EXPECT_EQ(again.error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(ClusterServerTest, TwoNodesOfOneNameGetDifferentIds) {
  const std::string token = Token({.uses = 2, .description = ""});
  v1::JoinResponse first;
  v1::JoinResponse second;
  ASSERT_TRUE(Join(token, "pi", &first).ok());
  ASSERT_TRUE(Join(token, "pi", &second).ok());
  EXPECT_EQ(first.node_id(), "pi");
  EXPECT_EQ(second.node_id(), "pi-2");
}

TEST_F(ClusterServerTest, NobodyIsCalledTheCoordinator) {
  v1::JoinResponse response;
  ASSERT_TRUE(Join(Token(), "coordinator", &response).ok());
  EXPECT_NE(response.node_id(), kCoordinatorNodeId);
}

TEST_F(ClusterServerTest, RefusesBadTokens) {
  JoinToken wrong_secret = *ParseJoinToken(Token());
  wrong_secret.secret[3] = wrong_secret.secret[3] == 'a' ? 'b' : 'a';
  const std::string expired = [this] {
    NewToken token;
    token.life = std::chrono::seconds(1);
    const auto made = store_->CreateToken(cluster_.authority().fingerprint(), token,
                                          std::chrono::system_clock::now() - std::chrono::hours(1));
    return made->ToString();
  }();
  struct Case {
    const char* what;
    std::string token;
    grpc::StatusCode code;
  };
  const Case cases[] = {
      {"no token", "", grpc::StatusCode::INVALID_ARGUMENT},
      {"a wrong secret", wrong_secret.ToString(), grpc::StatusCode::UNAUTHENTICATED},
      {"an expired one", expired, grpc::StatusCode::UNAUTHENTICATED},
      {"another cluster's", MakeJoinToken(std::string(64, 'a')).ToString(),
       grpc::StatusCode::UNAUTHENTICATED},
  };
  for (const Case& c : cases) {
    v1::JoinResponse response;
    const grpc::Status status = Join(c.token, "pi", &response);
    EXPECT_EQ(status.error_code(), c.code) << c.what << ": " << status.error_message();
    EXPECT_TRUE(response.certificate_chain_pem().empty());
  }
  EXPECT_FALSE(store_->Member("pi").ok());
}

TEST_F(ClusterServerTest, SlowsDownWhoGuessesTokens) {
  v1::JoinResponse response;
  for (int i = 0; i < AttemptLimit::kBurst; ++i) {
    EXPECT_EQ(Join("nonsense", "pi", &response).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  const grpc::Status status = Join(Token(), "pi", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("try again in"));
}

TEST(AttemptLimit, ForgivesOneFailureAfterAnother) {
  AttemptLimit limit;
  const AttemptLimit::Clock::time_point start{std::chrono::hours(1)};
  for (int i = 0; i < AttemptLimit::kBurst; ++i) {
    EXPECT_TRUE(limit.Check("host", start).ok()) << i;
    limit.Failed("host", start);
  }
  EXPECT_FALSE(limit.Check("host", start).ok());
  EXPECT_TRUE(limit.Check("other", start).ok());
  EXPECT_TRUE(limit.Check("host", start + AttemptLimit::kInterval).ok());
  limit.Failed("host", start + AttemptLimit::kInterval);
  EXPECT_FALSE(limit.Check("host", start + AttemptLimit::kInterval).ok());
}

TEST_F(ClusterServerTest, OnlyJoinNeedsNoCertificate) {
  const auto stub = JoinStub();
  {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::RenewResponse response;
    EXPECT_EQ(stub->Renew(&context, {}, &response).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
  {
    grpc::ClientContext context;
    SetDeadline(context);
    EXPECT_EQ(stub->Attend(&context)->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
  {
    grpc::ClientContext context;
    SetDeadline(context);
    EXPECT_EQ(stub->FetchWeight(&context, {})->Finish().error_code(),
              grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(ClusterServerTest, RefusesAnExpiredCertificate) {
  IssueOptions past;
  past.now = std::chrono::system_clock::now() - std::chrono::hours(2);
  past.life = std::chrono::hours(1);
  const IdentityStore expired = cluster_.Issue(Role::kWorker, "late", past);
  EXPECT_EQ(MakeChannelCredentials(expired).status().code(), Code::kFailedPrecondition)
      << "the worker notices itself";
  // Somebody who does not look at his own certificate.
  const auto identity = expired.Load();
  ASSERT_TRUE(identity.ok());
  grpc::SslCredentialsOptions options;
  options.pem_root_certs = identity->root_pem;
  options.pem_private_key = identity->key_pem;
  options.pem_cert_chain = identity->chain_pem;
  grpc::ChannelArguments arguments;
  arguments.SetSslTargetNameOverride(kCoordinatorNodeId);
  const auto stub = v1::CoordinatorService::NewStub(
      grpc::CreateCustomChannel(address(), grpc::SslCredentials(options), arguments));
  grpc::ClientContext context;
  SetDeadline(context);
  EXPECT_EQ(stub->FetchWeight(&context, {})->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  ExpectServes();
}

TEST_F(ClusterServerTest, RenewsAMembersCertificateAndNotARemovedOnes) {
  const auto stub = MemberStub("pi");
  const auto key = MakeKeyAndRequest("anything");
  v1::RenewRequest request;
  request.set_certificate_request(key->request_der);
  v1::RenewResponse response;
  {
    grpc::ClientContext context;
    SetDeadline(context);
    const grpc::Status status = stub->Renew(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  const auto fresh =
      MakeNodeIdentity(key->key_pem, response.certificate_chain_pem(), response.root_pem());
  ASSERT_TRUE(fresh.ok()) << fresh.status().message();
  EXPECT_EQ(fresh->who.node_id, "pi") << "not what the request says";
  EXPECT_EQ(store_->Member("pi")->certificate_serial, fresh->serial);
  ASSERT_TRUE(store_->RemoveMember("pi").ok());
  grpc::ClientContext context;
  SetDeadline(context);
  EXPECT_EQ(stub->Renew(&context, request, &response).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ClusterServerTest, SendsAMemberAwayThatWasRemoved) {
  const auto stub = MemberStub("pi");
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->Attend(&context);
  v1::AttendRequest request;
  *request.mutable_facts() = GoodFacts();
  ASSERT_TRUE(stream->Write(request));
  EXPECT_TRUE(Within(std::chrono::milliseconds(1000), [&] { return Find("pi").has_value(); }));
  ASSERT_TRUE(store_->RemoveMember("pi").ok());
  EXPECT_TRUE(Within(std::chrono::milliseconds(3000), [&] { return !Find("pi").has_value(); }));
  request.clear_facts();
  request.set_beat(2);
  stream->Write(request);
  v1::AttendResponse response;
  while (stream->Read(&response)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(ClusterServerTest, HearsHeartbeatsAndEchoesThem) {
  const auto stub = MemberStub("pi");
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->Attend(&context);
  v1::AttendRequest request;
  *request.mutable_facts() = GoodFacts();
  request.set_beat(1);
  ASSERT_TRUE(stream->Write(request));
  v1::AttendResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.beat(), 1);
  ASSERT_TRUE(Present("pi"));
  request.clear_facts();
  request.set_beat(2);
  request.set_epoch(9);
  request.set_memory_available_bytes(123);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.beat(), 2);
  EXPECT_EQ(Find("pi")->epoch, 9);
  EXPECT_EQ(Find("pi")->memory_available_bytes, 123);
  EXPECT_EQ(Find("pi")->facts.address(), "127.0.0.1:4000");
  // Silence: the stream is open, but nothing comes any more.
  EXPECT_TRUE(
      Within(Members::kSilence + std::chrono::milliseconds(1000), [&] { return !Present("pi"); }));
  request.set_beat(3);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(Within(std::chrono::milliseconds(1000), [&] { return Present("pi"); }));
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_FALSE(Present("pi"));
}

TEST_F(ClusterServerTest, RefusesFactsThatMakeNoSense) {
  const auto stub = MemberStub("pi");
  std::vector<v1::AttendRequest> requests(4);
  *requests[1].mutable_facts() = GoodFacts();
  requests[1].mutable_facts()->set_address("nowhere");
  *requests[2].mutable_facts() = GoodFacts();
  requests[2].mutable_facts()->set_cpu(std::string(10'000, 'x'));
  *requests[3].mutable_facts() = GoodFacts();
  requests[3].mutable_facts()->clear_memory_limit_bytes();
  for (const v1::AttendRequest& request : requests) {
    grpc::ClientContext context;
    SetDeadline(context);
    const auto stream = stub->Attend(&context);
    stream->Write(request);
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_FALSE(Find("pi"));
}

TEST_F(ClusterServerTest, RefusesMessagesThatAreTooLong) {
  const auto stub = MemberStub("pi");
  grpc::ClientContext context;
  SetDeadline(context);
  const auto stream = stub->Attend(&context);
  v1::AttendRequest request;
  *request.mutable_facts() = GoodFacts();
  request.mutable_facts()->set_cpu(std::string(kSmallMessage, 'x'));
  stream->Write(request);
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  ExpectServes();
}

TEST_F(ClusterServerTest, SendsAWeightFromAnOffsetInChunks) {
  std::string bytes(5'000'000, '\0');
  std::mt19937 random(1);
  for (char& c : bytes) c = static_cast<char>(random());
  const std::string hash = AddWeight(bytes);
  const auto stub = MemberStub("pi");
  for (const std::size_t offset : {std::size_t{0}, std::size_t{4'999'999}, bytes.size()}) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::FetchWeightRequest request;
    request.set_sha256(hash);
    request.set_offset(offset);
    const auto reader = stub->FetchWeight(&context, request);
    std::string received;
    v1::FetchWeightResponse response;
    while (reader->Read(&response)) {
      EXPECT_LE(response.data().size(), FetchStream::kChunkBytes);
      received += response.data();
    }
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_TRUE(received == bytes.substr(offset)) << offset;
  }
}

TEST_F(ClusterServerTest, RefusesToSendWhatItHasNot) {
  const std::string hash = AddWeight("ten bytes!");
  const auto stub = MemberStub("pi");
  struct Case {
    std::string hash;
    std::uint64_t offset;
    grpc::StatusCode code;
  };
  for (const Case& c : {Case{hash, 11, grpc::StatusCode::OUT_OF_RANGE},
                        Case{std::string(32, 'x'), 0, grpc::StatusCode::NOT_FOUND},
                        Case{"short", 0, grpc::StatusCode::INVALID_ARGUMENT}}) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::FetchWeightRequest request;
    request.set_sha256(c.hash);
    request.set_offset(c.offset);
    EXPECT_EQ(stub->FetchWeight(&context, request)->Finish().error_code(), c.code);
  }
}

// A TCP connection to `port` of the loopback.
File Connect(std::uint16_t port) {
  File socket(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), sizeof(address)),
            0);
  return socket;
}

std::string Junk(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string junk(size, '\0');
  for (char& c : junk) c = static_cast<char>(random());
  return junk;
}

TEST_F(ClusterServerTest, PlaintextJunkDoesNoHarm) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    const File socket = Connect(server_->address().port);
    const std::string junk = seed == 0 ? "GET / HTTP/1.1\r\n\r\n" : Junk(1000 * seed, seed);
    // The server may have closed its end already.
    (void)!::send(socket.descriptor(), junk.data(), junk.size(), MSG_NOSIGNAL);
  }
  ExpectServes();
}

TEST_F(ClusterServerTest, JunkInsideOfTlsDoesNoHarm) {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()),
                                                             SSL_CTX_free);
  constexpr char kHttp2Preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (unsigned seed = 0; seed < 20; ++seed) {
    const File socket = Connect(server_->address().port);
    const std::unique_ptr<SSL, void (*)(SSL*)> tls(SSL_new(context.get()), SSL_free);
    const unsigned char h2[] = {2, 'h', '2'};
    ASSERT_EQ(SSL_set_alpn_protos(tls.get(), h2, sizeof(h2)), 0);
    ASSERT_EQ(SSL_set_fd(tls.get(), socket.descriptor()), 1);
    ASSERT_EQ(SSL_connect(tls.get()), 1);
    std::string junk = seed % 2 == 0 ? "" : kHttp2Preface;
    junk += Junk(5000, seed);
    SSL_write(tls.get(), junk.data(), static_cast<int>(junk.size()));
  }
  ExpectServes();
}

TEST_F(ClusterServerTest, SaysThatAPortIsTaken) {
  Members members;
  ClusterOptions options;
  options.listen = server_->address();
  options.identity_folder = cluster_.folder() + "/second";
  options.authority = &cluster_.authority();
  options.store = store_.get();
  options.members = &members;
  options.weights = [this](std::string_view hash) { return WeightBytes(hash); };
  const auto second = ClusterServer::Start(std::move(options));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), HasSubstr(address()));
}

}  // namespace
}  // namespace bramble::coordinator
