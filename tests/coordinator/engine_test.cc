// The engine with worker processes: real certificates, real streams, a real (tiny) model file.
#include "coordinator/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <future>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/process.h"
#include "model/model.h"
#include "tests/coordinator/serve/serve_helpers.h"

namespace bramble::coordinator {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::HasSubstr;

constexpr const char* kModel = BRAMBLE_SOURCE_DIR "/tests/golden/models/gguf_llama_q8_0/model.gguf";
constexpr const char* kWorker = BRAMBLE_BINARY_DIR "/bramble-worker";

struct Awaited : public Heard {
  std::function<void()> at_first;  // where set: called in the thread that brings the first token
  std::promise<void> first;
  std::promise<void> done;
  void OnToken(const GeneratedToken& token) override {
    Heard::OnToken(token);
    if (tokens.size() != 1) return;
    if (at_first) at_first();
    first.set_value();
  }
  void OnEnd(const GenerationEnd& end) override {
    Heard::OnEnd(end);
    done.set_value();
  }
};

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kWorker)) GTEST_SKIP() << kWorker << " has not been built";
    Result<TemporaryFolder> folder = TemporaryFolder::Make();
    ASSERT_TRUE(folder.ok()) << folder.status().message();
    folder_.emplace(*std::move(folder));
  }

  void TearDown() override {
    if (engine_) engine_->Shutdown();
    for (const auto& [name, worker] : workers_) worker->Signal(SIGTERM);
    for (const auto& [name, worker] : workers_) worker->Stop();
  }

  void Start(std::uint32_t wait_workers, Sharding sharding = Sharding::kAuto) {
    Result<std::unique_ptr<model::Model>> model = model::Model::Open(kModel, {});
    ASSERT_TRUE(model.ok()) << model.status().message();
    EngineOptions options;
    options.state_dir = folder_->path() + "/coordinator";
    options.model = *std::move(model);
    options.model_name = "tiny";
    options.wait_workers = wait_workers;
    options.sharding = sharding;
    if (sharding == Sharding::kSlices) options.limits.smallest_product = 1;
    Result<std::unique_ptr<Engine>> engine = Engine::Start(std::move(options));
    ASSERT_TRUE(engine.ok()) << engine.status().message();
    engine_ = *std::move(engine);
  }

  void StartWorker(const std::string& name, const std::vector<std::string>& more = {}) {
    const Result<std::string> token = engine_->CreateJoinToken();
    ASSERT_TRUE(token.ok()) << token.status().message();
    const std::string token_file = folder_->path() + "/" + name + ".token";
    ASSERT_TRUE(WriteFileAtomically(token_file, *token, 0600).ok());
    ProcessOptions options;
    options.arguments = {kWorker,
                         "--join=" + engine_->grpc_address(),
                         "--token-file=" + token_file,
                         "--state=" + folder_->path() + "/" + name,
                         "--listen=127.0.0.1:0",
                         "--name=" + name,
                         "--threads=1"};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    options.log_path = folder_->path() + "/" + name + ".log";
    Result<std::unique_ptr<Process>> process = Process::Start(options);
    ASSERT_TRUE(process.ok()) << process.status().message();
    workers_[name] = *std::move(process);
  }

  Status WaitReady() { return engine_->WaitReady(steady_clock::now() + seconds(60)); }

  std::shared_ptr<Awaited> Submit(const GenerateRequest& request,
                                  std::function<void()> at_first = {}) {
    auto sink = std::make_shared<Awaited>();
    sink->at_first = std::move(at_first);
    const Result<RequestId> id = engine_->generator().Submit(request, sink);
    EXPECT_TRUE(id.ok()) << id.status().message();
    if (!id.ok()) sink->done.set_value();
    return sink;
  }
  std::shared_ptr<Awaited> Generate(const GenerateRequest& request) {
    auto sink = Submit(request);
    sink->done.get_future().wait();
    return sink;
  }

  std::optional<TemporaryFolder> folder_;
  std::unique_ptr<Engine> engine_;
  std::map<std::string, std::unique_ptr<Process>> workers_;
};

TEST_F(EngineTest, GivesTheSameBitsOnOneWorkerAndOnThree) {
  GenerateRequest request = Greedy({5, 9, 2, 14}, 24);
  request.logits_of_tokens = true;
  std::vector<std::shared_ptr<Awaited>> answers;
  for (const std::uint32_t count : {1U, 3U}) {
    Start(count);
    for (std::uint32_t i = 0; i < count; ++i)
      StartWorker(std::string("w").append(std::to_string(count * 10 + i)));
    const Status ready = WaitReady();
    ASSERT_TRUE(ready.ok()) << ready.message();
    const ClusterSnapshot now = engine_->snapshot();
    // A worker that measured itself on a busy processor may be left out.
    const std::size_t stages = now.plan->stages.size();
    EXPECT_LE(stages, count);
    ASSERT_EQ(now.loaded.size(), stages);
    for (std::size_t i = 0; i < stages; ++i) {
      EXPECT_EQ(now.loaded[i].memory.weight_bytes(), now.plan->stages[i].weight_bytes)
          << "what was planned is what the worker holds";
      EXPECT_EQ(now.loaded[i].memory.buffer_bytes(), now.plan->stages[i].buffer_bytes);
    }
    answers.push_back(Generate(request));
    EXPECT_EQ(answers.back()->end().reason, FinishReason::kLength)
        << answers.back()->end().status.message();
    const nlohmann::json json = nlohmann::json::parse(ClusterJson(engine_->snapshot()));
    EXPECT_EQ(json["state"], "ready");
    EXPECT_EQ(json["plan"]["stages"].size(), stages);
    EXPECT_THAT(engine_->MetricsText(),
                HasSubstr("bramble_members_present " + std::to_string(count)));
    engine_->Shutdown();
  }
  EXPECT_EQ(answers[0]->ids(), answers[1]->ids());
  for (std::size_t i = 0; i < answers[0]->tokens.size(); ++i) {
    EXPECT_EQ(answers[0]->tokens[i].logits, answers[1]->tokens[i].logits) << "token " << i;
  }
}

TEST_F(EngineTest, GivesTheSameBitsInSlices) {
  GenerateRequest request = Greedy({5, 9, 2, 14}, 24);
  request.logits_of_tokens = true;
  Start(1);
  StartWorker("alone");
  ASSERT_TRUE(WaitReady().ok());
  const auto alone = Generate(request);
  engine_->Shutdown();
  Start(3, Sharding::kSlices);
  for (const char* name : {"a", "b", "c"}) StartWorker(name);
  const Status ready = WaitReady();
  ASSERT_TRUE(ready.ok()) << ready.message();
  const ClusterSnapshot now = engine_->snapshot();
  ASSERT_EQ(now.plan->stages.size(), 3U);
  ASSERT_EQ(now.loaded.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(now.plan->stages[i].members, 3U);
    EXPECT_EQ(now.loaded[i].memory.weight_bytes(), now.plan->stages[i].weight_bytes);
    EXPECT_EQ(now.loaded[i].memory.cache_bytes(), now.plan->stages[i].cache_bytes);
    EXPECT_EQ(now.loaded[i].memory.buffer_bytes(), now.plan->stages[i].buffer_bytes);
  }
  const auto shared = Generate(request);
  EXPECT_EQ(shared->end().reason, FinishReason::kLength) << shared->end().status.message();
  ASSERT_EQ(shared->ids(), alone->ids());
  for (std::size_t i = 0; i < alone->tokens.size(); ++i) {
    EXPECT_EQ(shared->tokens[i].logits, alone->tokens[i].logits) << "token " << i;
  }
}

// Whichever member dies, the leading one or another: nobody waits for it.
TEST_F(EngineTest, EndsRequestsOfAKilledMember) {
  for (const std::size_t place : {0U, 1U}) {
    Start(2, Sharding::kSlices);
    for (const char* name : {"a", "b"}) StartWorker(name);
    const Status ready = WaitReady();
    ASSERT_TRUE(ready.ok()) << ready.message();
    const std::string victim = engine_->snapshot().plan->stages[place].node_id;
    const std::uint32_t context = engine_->snapshot().context_length;
    const auto cut =
        Submit(Greedy({1, 2, 3}, context - 3), [&] { workers_[victim]->Signal(SIGSTOP); });
    cut->first.get_future().wait();
    workers_[victim]->Signal(SIGKILL);
    const auto killed = steady_clock::now();
    cut->done.get_future().wait();
    EXPECT_LT(steady_clock::now() - killed, seconds(2));
    EXPECT_EQ(cut->end().status.code(), Code::kUnavailable);
    EXPECT_THAT(cut->end().status.message(), HasSubstr("worker '" + victim + "' was lost"));
    engine_->Shutdown();
    for (const auto& [name, worker] : workers_) worker->Stop();
    workers_.clear();
    engine_.reset();
    folder_.reset();
    SetUp();
  }
}

TEST_F(EngineTest, EndsRequestsOfAKilledWorkerAndGoesOnWithTheRest) {
  Start(3);
  for (const char* name : {"a", "b", "c"}) StartWorker(name);
  ASSERT_TRUE(WaitReady().ok());
  const std::uint32_t context = engine_->snapshot().context_length;
  const GenerateRequest request = Greedy({5, 9, 2, 14}, 20);
  const std::vector<std::uint32_t> before = Generate(request)->ids();
  // The first token stops the worker, so that the answer is under way, and cannot end, when it
  // dies.
  const std::string victim = engine_->snapshot().plan->stages.back().node_id;
  const auto cut =
      Submit(Greedy({1, 2, 3}, context - 3), [&] { workers_[victim]->Signal(SIGSTOP); });
  cut->first.get_future().wait();
  workers_[victim]->Signal(SIGKILL);
  const auto killed = steady_clock::now();
  cut->done.get_future().wait();
  EXPECT_LT(steady_clock::now() - killed, seconds(2));
  EXPECT_EQ(cut->end().status.code(), Code::kUnavailable);
  EXPECT_THAT(cut->end().status.message(), HasSubstr("worker '" + victim + "' was lost"));
  const Status again = WaitReady();
  ASSERT_TRUE(again.ok()) << again.message();
  const ClusterSnapshot now = engine_->snapshot();
  for (const PlannedStage& stage : now.plan->stages) {
    EXPECT_NE(stage.node_id, victim);
  }
  EXPECT_EQ(Generate(request)->ids(), before);
}

TEST_F(EngineTest, SpreadsOverAWorkerThatComesLater) {
  Start(1);
  StartWorker("first");
  ASSERT_TRUE(WaitReady().ok());
  const std::vector<std::uint32_t> before = Generate(Greedy({5, 9, 2, 14}, 20))->ids();
  const std::uint64_t epoch = engine_->snapshot().epoch;
  StartWorker("second");
  const auto deadline = steady_clock::now() + seconds(30);
  while (engine_->snapshot().epoch == epoch && steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  ASSERT_TRUE(WaitReady().ok());
  EXPECT_EQ(engine_->snapshot().plan->stages.size(), 2U);
  EXPECT_EQ(Generate(Greedy({5, 9, 2, 14}, 20))->ids(), before);
}

TEST_F(EngineTest, RefusesAModelThatDoesNotFitAndServesItWhenAnotherWorkerComes) {
  Start(1);
  StartWorker("small", {"--memory=24M"});
  const Status refused = WaitReady();
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("worker 'small': limit 24.0 MiB, less 24.0 MiB"));
  EXPECT_EQ(engine_->snapshot().state, EngineState::kRefused);
  const auto sink = std::make_shared<Awaited>();
  EXPECT_EQ(engine_->generator().Submit(Greedy({1}, 1), sink).status().code(), Code::kUnavailable);
  StartWorker("large");
  const auto deadline = steady_clock::now() + seconds(30);
  while (engine_->snapshot().state != EngineState::kReady && steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_EQ(Generate(Greedy({5, 9}, 4))->end().reason, FinishReason::kLength);
}

TEST_F(EngineTest, SaysWhatItWaitsFor) {
  Start(2);
  EXPECT_EQ(engine_->WaitReady(steady_clock::now()).code(), Code::kDeadlineExceeded);
  StartWorker("only");
  const auto deadline = steady_clock::now() + seconds(30);
  while (engine_->snapshot().why.message().find("1 of 2") == std::string::npos &&
         steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  EXPECT_THAT(engine_->WaitReady(steady_clock::now()).message(),
              HasSubstr("1 of 2 workers are here"));
}

TEST_F(EngineTest, DrainsRunningRequestsAndRefusesNewOnes) {
  Start(1);
  StartWorker("a");
  ASSERT_TRUE(WaitReady().ok());
  const auto running = Submit(Greedy({5, 9, 2, 14}, 40));
  running->first.get_future().wait();
  engine_->Drain(steady_clock::now() + seconds(30));
  EXPECT_EQ(running->end().reason, FinishReason::kLength);
  EXPECT_EQ(running->tokens.size(), 40U);
  const auto late = std::make_shared<Awaited>();
  EXPECT_EQ(engine_->generator().Submit(Greedy({1}, 1), late).status().code(), Code::kUnavailable);
  EXPECT_EQ(WaitReady().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace bramble::coordinator
