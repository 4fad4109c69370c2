#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "bramble/v1/run.grpc.pb.h"
#include "common/channel.h"
#include "tests/identities.h"
#include "worker/link/compute_thread.h"
#include "worker/link/epoch_header.h"
#include "worker/link/stage.h"
#include "worker/service/loader.h"
#include "worker/service/service.h"
#include "worker/service/stage_slot.h"

namespace bramble::worker {

// A worker's service over real mutual TLS, whose stages a test makes itself: what is computed is
// the test's affair.
class TestWorker {
 public:
  TestWorker(TestAuthority& authority, const std::string& name)
      : name_(name), identities_(authority.Issue(Role::kWorker, name)) {
    auto store = WeightStore::Open(authority.folder() + "/weights-" + name);
    EXPECT_TRUE(store.ok()) << store.status().message();
    store_ = *std::move(store);
    credentials_ = *MakeChannelCredentials(identities_);
    loader_ = std::make_unique<Loader>(ShardOptions{}, store_.get(),
                                       WeightFetcher(nullptr, store_.get()), &thread_, &slot_);
    service_ = std::make_unique<Service>(loader_.get(), &slot_, credentials_);
    grpc::ServerBuilder builder;
    ConfigureServer(builder, std::size_t{64} << 20);
    int port = 0;
    builder.AddListeningPort(
        "127.0.0.1:0", *MakeServerCredentials(identities_, ClientCertificates::kRequired), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    EXPECT_NE(server_, nullptr);
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  ~TestWorker() { Die(); }
  TestWorker(const TestWorker&) = delete;
  TestWorker& operator=(const TestWorker&) = delete;

  // Ends every connection at once.
  void Die() {
    loader_->Stop();
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    slot_.Drop(Unavailable("the worker died"));
    server_.reset();
  }

  const std::string& name() const { return name_; }
  const std::string& address() const { return address_; }
  StageSlot& slot() { return slot_; }
  ComputeThread& thread() { return thread_; }
  const std::shared_ptr<grpc::ChannelCredentials>& credentials() const { return credentials_; }
  v1::Peer peer() const {
    v1::Peer peer;
    peer.set_node_id(name_);
    peer.set_address(address_);
    return peer;
  }

  void Install(const StageOptions& options, Compute compute) {
    ASSERT_TRUE(slot_.Begin(options.epoch).ok());
    ASSERT_TRUE(slot_.Install(std::make_shared<Stage>(options, &thread_, std::move(compute))).ok());
  }

 private:
  const std::string name_;
  const IdentityStore identities_;
  std::string address_;
  std::unique_ptr<WeightStore> store_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  ComputeThread thread_;
  StageSlot slot_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

// A stream as a test drives it, with gRPC's blocking API: `Open(stub, context)`
// makes the call.
template <typename Request, typename Response>
struct TestCall {
  grpc::ClientContext context;
  std::unique_ptr<v1::WorkerService::Stub> stub;
  std::unique_ptr<grpc::ClientReaderWriter<Request, Response>> stream;

  TestCall(const TestWorker& worker, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
           std::uint64_t epoch) {
    stub = v1::WorkerService::NewStub(
        OpenChannel(worker.address(), credentials,
                    {.expected_node = worker.name(), .max_receive_bytes = std::size_t{64} << 20}));
    if (epoch != 0) context.AddMetadata(kEpochHeader, std::to_string(epoch));
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
};

struct TestRun : TestCall<v1::RunRequest, v1::RunResponse> {
  TestRun(const TestWorker& worker, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
          std::uint64_t epoch)
      : TestCall(worker, credentials, epoch) {
    stream = stub->Run(&context);
  }
};

struct TestForward : TestCall<v1::ForwardRequest, v1::ForwardResponse> {
  TestForward(const TestWorker& worker,
              const std::shared_ptr<grpc::ChannelCredentials>& credentials, std::uint64_t epoch)
      : TestCall(worker, credentials, epoch) {
    stream = stub->Forward(&context);
  }
};

struct TestMeet : TestCall<v1::MeetRequest, v1::MeetResponse> {
  TestMeet(const TestWorker& worker, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
           std::uint64_t epoch)
      : TestCall(worker, credentials, epoch) {
    stream = stub->Meet(&context);
  }
};

}  // namespace bramble::worker
