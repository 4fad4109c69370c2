#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <optional>
#include <vector>

#include "tests/worker/link/test_worker.h"

namespace bramble::worker {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kEpoch = 7;

std::string Bytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// The first stage makes a row of its step's number, every stage adds one, the last answers with the
// sum.
Compute Adder(bool first, bool last) {
  return [first, last](Work& work) {
    if (work.message.has_failure()) return;
    const auto number = static_cast<float>(work.message.step().number());
    std::vector<float> row =
        first ? std::vector<float>(64, number) : Floats(work.message.activations(0));
    for (float& value : row) value += 1;
    work.message.clear_activations();
    if (!last) {
      work.message.add_activations(Bytes(row));
      return;
    }
    double sum = 0;
    for (const float value : row) sum += value;
    work.outputs.emplace_back().set_logprob(sum);
  };
}

class StreamTest : public testing::Test {
 protected:
  StreamTest() : coordinator_(authority_.Issue(Role::kCoordinator, kCoordinatorNodeId)) {
    credentials_ = *MakeChannelCredentials(coordinator_);
  }

  void StartWorkers(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      workers_.push_back(
          std::make_unique<TestWorker>(authority_, std::string("w").append(std::to_string(i))));
    }
  }

  StageOptions OptionsOf(std::size_t index) const {
    StageOptions options{
        .epoch = kEpoch, .first = index == 0, .last = index + 1 == workers_.size()};
    if (index > 0) options.previous = workers_[index - 1]->name();
    if (!options.last) options.next = workers_[index + 1]->peer();
    return options;
  }

  void InstallAdders() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const StageOptions options = OptionsOf(i);
      workers_[i]->Install(options, Adder(options.first, options.last));
    }
  }

  // Opens Run to every worker and waits until all are ready.
  void Run() {
    for (const auto& worker : workers_) {
      runs_.push_back(std::make_unique<TestRun>(*worker, credentials_, kEpoch));
    }
    for (const auto& run : runs_) {
      run->stream->WaitForInitialMetadata();
      ASSERT_TRUE(run->context.GetServerInitialMetadata().contains(kEpochHeader));
    }
  }

  bool Send(std::uint64_t number) {
    v1::RunRequest request;
    request.mutable_step()->set_epoch(kEpoch);
    request.mutable_step()->set_number(number);
    return runs_.front()->stream->Write(request);
  }

  v1::RunResponse Receive() {
    v1::RunResponse response;
    EXPECT_TRUE(runs_.back()->stream->Read(&response));
    return response;
  }

  TestAuthority authority_;
  const IdentityStore coordinator_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::vector<std::unique_ptr<TestWorker>> workers_;
  std::vector<std::unique_ptr<TestRun>> runs_;
};

TEST_F(StreamTest, StepsPassThreeStagesInOrder) {
  StartWorkers(3);
  InstallAdders();
  Run();
  constexpr std::uint64_t kSteps = 50;
  for (std::uint64_t number = 1; number <= kSteps; ++number) ASSERT_TRUE(Send(number));
  for (std::uint64_t number = 1; number <= kSteps; ++number) {
    const v1::RunResponse response = Receive();
    ASSERT_EQ(response.result().number(), number);
    EXPECT_EQ(response.result().epoch(), kEpoch);
    ASSERT_EQ(response.result().outputs_size(), 1);
    EXPECT_EQ(response.result().outputs(0).logprob(), 64.0 * (static_cast<double>(number) + 3));
    EXPECT_EQ(response.result().stages_size(), 3);
  }
}

TEST_F(StreamTest, OneStageAnswersAlone) {
  StartWorkers(1);
  InstallAdders();
  Run();
  ASSERT_TRUE(Send(1));
  EXPECT_EQ(Receive().result().outputs(0).logprob(), 64.0 * 2);
}

TEST_F(StreamTest, AFailedStepTravelsOnAndTheNextOnesPass) {
  StartWorkers(3);
  InstallAdders();
  const Compute add = Adder(true, false);
  workers_[0]->slot().Drop(Unavailable("to be replaced"));
  workers_[0]->Install(OptionsOf(0), [add](Work& work) {
    if (work.message.step().number() == 2) {
      work.message.mutable_step()->add_closed(5);
      Fail(work, Invalid("layer.0/attn_q: not finite"), 3);
    } else {
      add(work);
    }
  });
  std::vector<std::uint32_t> closed;  // the compute thread of the last stage
  const Compute end = Adder(false, true);
  workers_[2]->slot().Drop(Unavailable("to be replaced"));
  workers_[2]->Install(OptionsOf(2), [&closed, end](Work& work) {
    for (const std::uint32_t slot : work.message.step().closed()) closed.push_back(slot);
    end(work);
  });
  Run();
  for (std::uint64_t number = 1; number <= 3; ++number) ASSERT_TRUE(Send(number));
  EXPECT_EQ(Receive().result().number(), 1);
  const v1::RunResponse failed = Receive();
  ASSERT_TRUE(failed.has_failure());
  EXPECT_EQ(failed.failure().number(), 2);
  EXPECT_EQ(failed.failure().epoch(), kEpoch);
  EXPECT_EQ(failed.failure().code(), 3);
  EXPECT_EQ(failed.failure().sequence(), 3);
  EXPECT_EQ(failed.failure().message(), "layer.0/attn_q: not finite");
  EXPECT_EQ(Receive().result().number(), 3);
  workers_[2]->thread().Run([] {});
  EXPECT_THAT(closed, testing::ElementsAre(5)) << "the stages after it still drop what was closed";
}

TEST_F(StreamTest, ADeadStageEndsItsNeighboursStreamsWithItsName) {
  StartWorkers(3);
  InstallAdders();
  Run();
  ASSERT_TRUE(Send(1));
  Receive();
  const auto start = std::chrono::steady_clock::now();
  workers_[1]->Die();
  v1::RunResponse response;
  EXPECT_FALSE(runs_[0]->stream->Read(&response));
  const grpc::Status first = runs_[0]->stream->Finish();
  EXPECT_EQ(first.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(first.error_message(), HasSubstr("w1"));
  EXPECT_FALSE(runs_[2]->stream->Read(&response));
  const grpc::Status last = runs_[2]->stream->Finish();
  EXPECT_EQ(last.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(last.error_message(), HasSubstr("w1"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(workers_[0]->slot().epoch(), 0) << "the worker holds no plan any more";
}

TEST_F(StreamTest, TheStageEndsWithTheCoordinatorsStream) {
  StartWorkers(2);
  InstallAdders();
  Run();
  ASSERT_TRUE(Send(1));
  Receive();
  EXPECT_EQ(workers_[0]->slot().epoch(), kEpoch);
  for (const auto& run : runs_) run->context.TryCancel();
  for (const auto& run : runs_) run->stream->Finish();
  // The compute thread frees the executor once the stage has ended.
  while (workers_[0]->slot().epoch() != 0 || workers_[1]->slot().epoch() != 0) {
    std::this_thread::yield();
  }
}

TEST_F(StreamTest, ASlowStageBoundsWhatWaitsAnywhere) {
  StartWorkers(2);
  std::atomic<std::uint64_t> first_done = 0;
  const Compute add = Adder(true, false);
  workers_[0]->Install(OptionsOf(0), [&](Work& work) {
    add(work);
    ++first_done;
  });
  Mutex mu;
  Condition changed;
  std::uint64_t allowed = 0;
  const Compute end = Adder(false, true);
  workers_[1]->Install(OptionsOf(1), [&](Work& work) {
    {
      const MutexLock lock(mu);
      while (allowed < work.message.step().number()) changed.Wait(mu);
    }
    end(work);
  });
  Run();
  // Enough to fill any buffer that is not bounded: the coordinator's writes then stop too.
  constexpr std::uint64_t kSteps = 200;
  std::thread sender([&] {
    for (std::uint64_t number = 1; number <= kSteps; ++number) ASSERT_TRUE(Send(number));
  });
  // `window` are there, the one that is computed among them, and two wait to be sent.
  const std::uint64_t bound = StageOptions{}.window + 2;
  while (first_done < bound) std::this_thread::yield();
  for (std::uint64_t number = 1; number <= kSteps; ++number) {
    EXPECT_LE(first_done, number - 1 + bound) << "before step " << number << " was let through";
    {
      const MutexLock lock(mu);
      allowed = number;
    }
    changed.NotifyAll();
    EXPECT_EQ(Receive().result().number(), number);
  }
  sender.join();
}

TEST_F(StreamTest, GivesCreditsForWhatItHasTakenAndRefusesMore) {
  StartWorkers(1);
  const IdentityStore before = authority_.Issue(Role::kWorker, "before");
  std::atomic<int> computed = 0;
  workers_[0]->Install({.epoch = kEpoch, .first = false, .last = true, .previous = "before"},
                       [&](Work&) { ++computed; });
  // No Run stream: nothing is taken from the queue, for there is nowhere to answer to.
  TestForward forward(*workers_[0], *MakeChannelCredentials(before), kEpoch);
  v1::ForwardResponse credit;
  ASSERT_TRUE(forward.stream->Read(&credit));
  EXPECT_EQ(credit.taken(), 0);
  EXPECT_EQ(credit.window(), StageOptions{}.window);
  v1::ForwardRequest request;
  request.mutable_step()->set_epoch(kEpoch);
  for (std::uint64_t number = 1; number <= credit.window() + 1; ++number) {
    request.mutable_step()->set_number(number);
    ASSERT_TRUE(forward.stream->Write(request));
  }
  EXPECT_FALSE(forward.stream->Read(&credit));
  const grpc::Status status = forward.stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_EQ(computed, 0);
}

struct RoleCase {
  const char* what;
  Role role;
  const char* name;
  bool forward;  // else Run
  std::uint64_t epoch;
  grpc::StatusCode code;
};

TEST_F(StreamTest, RefusesEveryCallerButTheOnesOfThePlan) {
  StartWorkers(1);
  workers_[0]->Install({.epoch = kEpoch, .first = false, .last = true, .previous = "before"},
                       [](Work&) {});
  const RoleCase cases[] = {
      {"a worker runs steps", Role::kWorker, "before", false, kEpoch,
       grpc::StatusCode::PERMISSION_DENIED},
      {"a client runs steps", Role::kClient, "someone", false, kEpoch,
       grpc::StatusCode::PERMISSION_DENIED},
      {"a coordinator forwards", Role::kCoordinator, "coordinator", true, kEpoch,
       grpc::StatusCode::PERMISSION_DENIED},
      {"a worker of another place forwards", Role::kWorker, "other", true, kEpoch,
       grpc::StatusCode::PERMISSION_DENIED},
      {"an older epoch forwards", Role::kWorker, "before", true, kEpoch - 1,
       grpc::StatusCode::FAILED_PRECONDITION},
      {"a later epoch runs", Role::kCoordinator, "coordinator", false, kEpoch + 1,
       grpc::StatusCode::FAILED_PRECONDITION},
      {"no epoch", Role::kWorker, "before", true, 0, grpc::StatusCode::INVALID_ARGUMENT},
  };
  for (const RoleCase& c : cases) {
    SCOPED_TRACE(c.what);
    const auto credentials = *MakeChannelCredentials(authority_.Issue(c.role, c.name));
    grpc::Status status;
    if (c.forward) {
      status = TestForward(*workers_[0], credentials, c.epoch).stream->Finish();
    } else {
      status = TestRun(*workers_[0], credentials, c.epoch).stream->Finish();
    }
    EXPECT_EQ(status.error_code(), c.code) << status.error_message();
  }
  EXPECT_EQ(workers_[0]->slot().epoch(), kEpoch) << "the stage lives on";
}

TEST_F(StreamTest, RefusesACallerWithoutACertificateOfTheCluster) {
  StartWorkers(1);
  InstallAdders();
  TestAuthority stranger;
  const auto credentials =
      *MakeChannelCredentials(stranger.Issue(Role::kCoordinator, kCoordinatorNodeId));
  const grpc::Status status = TestRun(*workers_[0], credentials, kEpoch).stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
}

TEST_F(StreamTest, ASecondStreamOfTheCoordinatorIsRefusedAndTheFirstLivesOn) {
  StartWorkers(2);
  InstallAdders();
  Run();
  for (const auto& worker : workers_) {
    const grpc::Status status = TestRun(*worker, credentials_, kEpoch).stream->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS) << status.error_message();
  }
  ASSERT_TRUE(Send(1));
  EXPECT_EQ(Receive().result().number(), 1);
}

TEST_F(StreamTest, AStepOutOfOrderEndsTheStage) {
  StartWorkers(1);
  InstallAdders();
  Run();
  ASSERT_TRUE(Send(2));
  v1::RunResponse response;
  EXPECT_FALSE(runs_[0]->stream->Read(&response));
  const grpc::Status status = runs_[0]->stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("step 2 came where 1 is due"));
}

}  // namespace
}  // namespace bramble::worker
