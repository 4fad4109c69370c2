#include "worker/link/stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace bramble::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint64_t kEpoch = 3;

v1::ForwardRequest StepNumber(std::uint64_t number, std::uint64_t epoch = kEpoch) {
  v1::ForwardRequest message;
  message.mutable_step()->set_epoch(epoch);
  message.mutable_step()->set_number(number);
  return message;
}

// Keeps what a stage sends, as a slow or a quick neighbour would.
class Basket : public Outlet {
 public:
  explicit Basket(std::size_t depth) : depth_(depth) {}
  void Send(Work work) override {
    const MutexLock lock(mu_);
    works_.push_back(std::move(work));
    changed_.NotifyAll();
  }
  std::size_t depth() const override { return depth_; }

  std::vector<Work> WaitFor(std::size_t count) {
    const MutexLock lock(mu_);
    while (works_.size() < count) changed_.Wait(mu_);
    return works_;
  }
  std::size_t size() {
    const MutexLock lock(mu_);
    return works_.size();
  }

 private:
  const std::size_t depth_;
  Mutex mu_;
  Condition changed_;
  std::vector<Work> works_ GUARDED_BY(mu_);
};

class Witness : public Inlet, public Link {
 public:
  void Taken(std::uint64_t number) override { taken.push_back(number); }
  void Close(const Status& why) override { closed = why; }
  std::vector<std::uint64_t> taken;  // written by the compute thread
  Status closed;
};

TEST(Stage, ComputesStepsInOrderAndSaysWhatItTook) {
  ComputeThread thread;
  std::vector<std::uint64_t> computed;
  const auto stage = std::make_shared<Stage>(
      StageOptions{.epoch = kEpoch}, &thread,
      [&](Work& work) { computed.push_back(work.message.step().number()); });
  const auto outlet = std::make_shared<Basket>(100);
  const auto inlet = std::make_shared<Witness>();
  ASSERT_TRUE(stage->SetInlet(inlet).ok());
  ASSERT_TRUE(stage->SetOutlet(outlet).ok());
  for (std::uint64_t number = 1; number <= 3; ++number) {
    ASSERT_TRUE(stage->Take(StepNumber(number)).ok());
    outlet->WaitFor(number);
  }
  const auto works = outlet->WaitFor(3);
  stage->End({Code::kCancelled, "the test is over"});
  thread.Run([] {});
  EXPECT_THAT(computed, ElementsAre(1, 2, 3));
  EXPECT_THAT(inlet->taken, ElementsAre(1, 2, 3));
  EXPECT_EQ(works[2].message.stages_size(), 1) << "the stage adds its time";
}

TEST(Stage, RefusesAStepThatIsNotTheNextOrOfAnotherEpoch) {
  ComputeThread thread;
  const auto stage = std::make_shared<Stage>(StageOptions{.epoch = kEpoch}, &thread, [](Work&) {});
  EXPECT_EQ(stage->Take(StepNumber(2)).code(), Code::kInvalidArgument);
  EXPECT_EQ(stage->Take(StepNumber(0)).code(), Code::kInvalidArgument);
  EXPECT_EQ(stage->Take(StepNumber(1, kEpoch - 1)).code(), Code::kFailedPrecondition);
  EXPECT_TRUE(stage->Take(StepNumber(1)).ok());
  EXPECT_EQ(stage->Take(StepNumber(1)).code(), Code::kInvalidArgument);
  stage->End({Code::kCancelled, "the test is over"});
}

TEST(Stage, RefusesMoreThanItsWindow) {
  ComputeThread thread;
  const auto stage =
      std::make_shared<Stage>(StageOptions{.epoch = kEpoch, .window = 3}, &thread, [](Work&) {});
  // Without an outlet nothing is computed, so everything waits.
  EXPECT_TRUE(stage->Take(StepNumber(1)).ok());
  EXPECT_TRUE(stage->Take(StepNumber(2)).ok());
  EXPECT_TRUE(stage->Take(StepNumber(3)).ok());
  const Status refused = stage->Take(StepNumber(4));
  EXPECT_EQ(refused.code(), Code::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("step 4"));
  stage->End({Code::kCancelled, "the test is over"});
}

TEST(Stage, ComputesNothingWhileItsOutletIsFull) {
  ComputeThread thread;
  std::atomic<int> computed = 0;
  const auto stage = std::make_shared<Stage>(StageOptions{.epoch = kEpoch, .window = 8}, &thread,
                                             [&](Work&) { ++computed; });
  const auto outlet = std::make_shared<Basket>(2);
  ASSERT_TRUE(stage->SetOutlet(outlet).ok());
  for (std::uint64_t number = 1; number <= 6; ++number) {
    ASSERT_TRUE(stage->Take(StepNumber(number)).ok());
  }
  outlet->WaitFor(2);
  thread.Run([] {});
  EXPECT_EQ(computed, 2);
  stage->Sent();
  outlet->WaitFor(3);
  thread.Run([] {});
  EXPECT_EQ(computed, 3);
  stage->End({Code::kCancelled, "the test is over"});
}

TEST(Stage, ClosesItsStreamsAndFreesItsExecutorWhenItEnds) {
  ComputeThread thread;
  auto held = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = held;
  const auto stage = std::make_shared<Stage>(StageOptions{.epoch = kEpoch}, &thread,
                                             [held](Work&) { EXPECT_EQ(*held, 7); });
  held.reset();
  EXPECT_FALSE(watch.expired());
  const auto stream = std::make_shared<Witness>();
  ASSERT_TRUE(stage->Attach(stream).ok());
  stage->End(Unavailable("a neighbour died"));
  stage->End({Code::kCancelled, "too late to count"});
  thread.Run([] {});
  EXPECT_TRUE(watch.expired());
  EXPECT_EQ(stream->closed.message(), "a neighbour died");
  EXPECT_TRUE(stage->ended());
  EXPECT_EQ(stage->Take(StepNumber(1)).code(), Code::kUnavailable);
  EXPECT_EQ(stage->Attach(stream).code(), Code::kUnavailable);
}

TEST(Stage, IsClaimedOnce) {
  ComputeThread thread;
  const auto stage = std::make_shared<Stage>(StageOptions{.epoch = kEpoch}, &thread, [](Work&) {});
  EXPECT_TRUE(stage->Claim().ok());
  EXPECT_EQ(stage->Claim().code(), Code::kAlreadyExists);
  stage->End({Code::kCancelled, "the test is over"});
}

TEST(Stage, AFailedStepKeepsItsNumberAndItsClosedSequences) {
  Work work{.message = StepNumber(5), .outputs = {}, .arrived = {}};
  work.message.mutable_step()->add_closed(9);
  work.message.mutable_step()->add_spans()->set_sequence(4);
  work.message.add_activations("values");
  work.outputs.emplace_back();
  Fail(work, Invalid("not finite"), 4);
  EXPECT_EQ(work.message.failure().number(), 5);
  EXPECT_EQ(work.message.failure().epoch(), kEpoch);
  EXPECT_EQ(work.message.failure().code(), 3);
  EXPECT_EQ(work.message.failure().sequence(), 4);
  EXPECT_EQ(work.message.step().number(), 5);
  EXPECT_THAT(work.message.step().closed(), ElementsAre(9));
  EXPECT_EQ(work.message.step().spans_size(), 0);
  EXPECT_EQ(work.message.activations_size(), 0);
  EXPECT_TRUE(work.outputs.empty());
}

}  // namespace
}  // namespace bramble::worker
