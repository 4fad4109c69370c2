// Workers that run a stage together, over real streams.
#include "worker/link/group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/worker/link/test_worker.h"

namespace bramble::worker {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kEpoch = 7;
constexpr std::uint32_t kMeetings = 3;

// At each meeting everybody brings its place and the meeting's number, and all that comes is
// summed.
Result<std::uint64_t> MeetOthers(Group& group) {
  std::uint64_t sum = 0;
  for (std::uint32_t meeting = 0; meeting < kMeetings; ++meeting) {
    group.Send(meeting, std::nullopt, std::string(meeting + 1, static_cast<char>(group.own())));
    for (std::uint32_t i = 0; i < group.members().size(); ++i) {
      if (i == group.own()) continue;
      ASSIGN_OR_RETURN(const std::string bytes, group.Await(i, meeting));
      if (bytes != std::string(meeting + 1, static_cast<char>(i))) return Internal("other bytes");
      sum += i;
    }
  }
  return sum;
}

Compute Meeter(const std::shared_ptr<Group>& group) {
  return [group](Work& work) {
    if (group->leads()) group->PassOn(work.message);
    const std::uint64_t number = work.message.step().number();
    group->Begin(number);
    const bool fails = !work.message.step().closed().empty() && !group->leads();
    const Result<std::uint64_t> sum =
        fails ? Result<std::uint64_t>(Invalid("not finite")) : MeetOthers(*group);
    if (!sum.ok()) {
      group->Fail(sum.status());
      return Fail(work, sum.status());
    }
    work.outputs.emplace_back().set_logprob(static_cast<double>(*sum));
  };
}

class GroupTest : public testing::Test {
 protected:
  GroupTest() : coordinator_(authority_.Issue(Role::kCoordinator, kCoordinatorNodeId)) {
    credentials_ = *MakeChannelCredentials(coordinator_);
  }

  void Start(std::uint32_t count) {
    std::vector<v1::Peer> peers;
    for (std::uint32_t i = 0; i < count; ++i) {
      workers_.push_back(
          std::make_unique<TestWorker>(authority_, std::string("w").append(std::to_string(i))));
      peers.push_back(workers_.back()->peer());
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto group = std::make_shared<Group>(kEpoch, peers, i);
      workers_[i]->Install({.epoch = kEpoch, .first = i == 0, .last = i == 0, .group = group},
                           Meeter(group));
    }
  }

  void Run() {
    for (const auto& worker : workers_) {
      runs_.push_back(std::make_unique<TestRun>(*worker, credentials_, kEpoch));
    }
    for (const auto& run : runs_) {
      run->stream->WaitForInitialMetadata();
      ASSERT_TRUE(run->context.GetServerInitialMetadata().contains(kEpochHeader));
    }
  }

  // A step that closes a sequence fails at all members but the first.
  bool Send(std::uint64_t number, bool fails = false) {
    v1::RunRequest request;
    request.mutable_step()->set_epoch(kEpoch);
    request.mutable_step()->set_number(number);
    if (fails) request.mutable_step()->add_closed(0);
    return runs_.front()->stream->Write(request);
  }

  v1::RunResponse Receive() {
    v1::RunResponse response;
    EXPECT_TRUE(runs_.front()->stream->Read(&response));
    return response;
  }

  TestAuthority authority_;
  const IdentityStore coordinator_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::vector<std::unique_ptr<TestWorker>> workers_;
  std::vector<std::unique_ptr<TestRun>> runs_;
};

TEST_F(GroupTest, MembersMeetInEveryStepAndTheFirstAnswers) {
  for (const std::uint32_t count : {2U, 3U, 5U}) {
    Start(count);
    Run();
    constexpr std::uint64_t kSteps = 30;
    for (std::uint64_t number = 1; number <= kSteps; ++number) ASSERT_TRUE(Send(number));
    for (std::uint64_t number = 1; number <= kSteps; ++number) {
      const v1::RunResponse response = Receive();
      ASSERT_EQ(response.result().number(), number);
      ASSERT_EQ(response.result().outputs_size(), 1);
      EXPECT_EQ(response.result().outputs(0).logprob(), kMeetings * count * (count - 1) / 2);
    }
    runs_.clear();
    workers_.clear();
  }
}

TEST_F(GroupTest, AFailureAnywhereIsTheStepsAndTheNextOnesPass) {
  Start(3);
  Run();
  ASSERT_TRUE(Send(1));
  ASSERT_TRUE(Send(2, true));
  ASSERT_TRUE(Send(3));
  EXPECT_EQ(Receive().result().number(), 1);
  const v1::RunResponse failed = Receive();
  EXPECT_EQ(failed.failure().number(), 2);
  EXPECT_EQ(failed.failure().code(), static_cast<std::uint32_t>(Code::kInvalidArgument));
  EXPECT_THAT(failed.failure().message(), HasSubstr("member w1: not finite"));
  EXPECT_EQ(Receive().result().number(), 3);
}

TEST_F(GroupTest, ADeadMemberEndsAllWithItsName) {
  Start(3);
  Run();
  ASSERT_TRUE(Send(1));
  Receive();
  const auto start = std::chrono::steady_clock::now();
  workers_[1]->Die();
  for (const std::size_t other : {0U, 2U}) {
    v1::RunResponse response;
    EXPECT_FALSE(runs_[other]->stream->Read(&response));
    const grpc::Status end = runs_[other]->stream->Finish();
    EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(end.error_message(), HasSubstr("w1"));
    EXPECT_EQ(workers_[other]->slot().epoch(), 0) << "the worker holds no plan any more";
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
}

TEST_F(GroupTest, RefusesWhoIsNoMember) {
  Start(2);
  const struct {
    Role role;
    const char* name;
    std::uint64_t epoch;
    grpc::StatusCode code;
  } cases[] = {
      {Role::kWorker, "other", kEpoch, grpc::StatusCode::PERMISSION_DENIED},
      {Role::kWorker, "w0", kEpoch, grpc::StatusCode::PERMISSION_DENIED},  // itself
      {Role::kCoordinator, "coordinator", kEpoch, grpc::StatusCode::PERMISSION_DENIED},
      {Role::kWorker, "w1", kEpoch + 1, grpc::StatusCode::FAILED_PRECONDITION},
      {Role::kWorker, "w1", 0, grpc::StatusCode::INVALID_ARGUMENT},
  };
  for (const auto& c : cases) {
    const auto credentials = *MakeChannelCredentials(authority_.Issue(c.role, c.name));
    const grpc::Status status = TestMeet(*workers_[0], credentials, c.epoch).stream->Finish();
    EXPECT_EQ(status.error_code(), c.code) << c.name << ": " << status.error_message();
  }
  EXPECT_EQ(workers_[0]->slot().epoch(), kEpoch) << "the stage lives on";
}

TEST_F(GroupTest, AMessageThatAMemberMayNotSendEndsTheStage) {
  for (const bool step : {true, false}) {
    Start(2);
    TestMeet meet(*workers_[0], workers_[1]->credentials(), kEpoch);
    v1::MeetRequest request;
    if (step) request.mutable_step()->mutable_step()->set_epoch(kEpoch);
    ASSERT_TRUE(meet.stream->Write(request));
    v1::MeetResponse response;
    while (meet.stream->Read(&response)) {
    }
    const grpc::Status end = meet.stream->Finish();
    EXPECT_EQ(end.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(end.error_message(), HasSubstr(step ? "does not lead" : "neither a part nor"));
    EXPECT_EQ(workers_[0]->slot().epoch(), 0);
    workers_.clear();
  }
}

}  // namespace
}  // namespace bramble::worker
