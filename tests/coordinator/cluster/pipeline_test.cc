// Programs on worker processes: loading, running, losing.
#include "coordinator/cluster/pipeline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/coordinator/cluster/worker_fixture.h"

namespace bramble::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

namespace fs = std::filesystem;

class PipelineTest : public WorkerFixture {
 protected:
  // The logits of a prompt of five ids and of two ids after it, all bytes.
  std::string Logits(const v1::Program& program, const std::vector<const WorkerProcess*>& workers) {
    Answers answers;
    const auto pipeline = Load(program, workers, &answers);
    EXPECT_TRUE(pipeline.ok()) << pipeline.status().message();
    if (!pipeline.ok()) return {};
    EXPECT_EQ((*pipeline)->loaded().size(), workers.size());
    (*pipeline)->Send(StepOf(1, 0, {3, 1, 4, 1, 5}));
    (*pipeline)->Send(StepOf(2, 5, {9}));
    (*pipeline)->Send(StepOf(3, 6, {2}));
    std::string logits;
    for (std::uint64_t number = 1; number <= 3; ++number) {
      const v1::StepResult result = answers.Result(number);
      EXPECT_EQ(result.stages_size(), static_cast<int>(workers.size()));
      for (const v1::OutputResult& output : result.outputs()) logits += output.logits();
    }
    (*pipeline)->Close();
    return logits;
  }

  // The files of weights in a worker's store.
  std::vector<fs::path> WeightFiles(const std::string& name) const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(StateOf(name) + "/weights")) {
      if (entry.path().filename().native().size() == 64) files.push_back(entry.path());
    }
    return files;
  }
};

TEST_F(PipelineTest, OneTwoAndThreeWorkersGiveTheSameBits) {
  const WorkerProcess a = StartWorker("a");
  const WorkerProcess b = StartWorker("b");
  const WorkerProcess c = StartWorker("c");
  testing::SmallModel model;
  model.encoding = v1::ENCODING_Q8_0;
  model.input_form = v1::INPUT_FORM_A8_32;
  model.inner = 96;
  const v1::Program program = OfferProgram(model);
  const std::string one = Logits(program, {&a});
  EXPECT_EQ(one.size(), std::size_t{7} * model.vocabulary * sizeof(float));
  EXPECT_TRUE(Logits(program, {&a, &b}) == one);
  EXPECT_TRUE(Logits(program, {&c, &b, &a}) == one);
}

TEST_F(PipelineTest, AWorkerTakesWeightsFromItsDiskAtTheNextStart) {
  const v1::Program program = OfferProgram();
  std::string before;
  {
    const WorkerProcess worker = StartWorker("pi");
    before = Logits(program, {&worker});
    EXPECT_GT(weights_asked_, 0);
    EXPECT_EQ(last_progress_.bytes_done, last_progress_.bytes_total);
    EXPECT_GT(last_progress_.bytes_total, 0);
    worker.process->Stop();
  }
  weights_asked_ = 0;
  const WorkerProcess worker = StartWorker("pi", "");
  EXPECT_TRUE(Logits(program, {&worker}) == before);
  EXPECT_EQ(weights_asked_, 0) << "everything was on its disk";
}

TEST_F(PipelineTest, ACorruptWeightIsFoundAndFetchedAgain) {
  const v1::Program program = OfferProgram();
  std::string before;
  {
    const WorkerProcess worker = StartWorker("pi");
    before = Logits(program, {&worker});
    worker.process->Stop();
  }
  const std::vector<fs::path> files = WeightFiles("pi");
  ASSERT_GT(files.size(), 3);
  {
    std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(17);
    file.put('!');
  }
  fs::resize_file(files[1], 10);
  // As if the connection had been cut in the middle.
  fs::rename(files[2], files[2].native() + ".part");
  fs::resize_file(files[2].native() + ".part", fs::file_size(files[2].native() + ".part") / 2);
  weights_asked_ = 0;
  const WorkerProcess worker = StartWorker("pi", "");
  EXPECT_TRUE(Logits(program, {&worker}) == before);
  EXPECT_EQ(weights_asked_, 3) << "only these";
}

TEST_F(PipelineTest, AKilledWorkerIsLostWithinTwoSeconds) {
  const WorkerProcess a = StartWorker("a");
  const WorkerProcess b = StartWorker("b");
  const v1::Program program = OfferProgram();
  Answers answers;
  const auto pipeline = Load(program, {&a, &b}, &answers);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
  (*pipeline)->Send(StepOf(1, 0, {3, 1, 4}));
  answers.Result(1);
  b.process->Signal(SIGKILL);
  EXPECT_TRUE(answers.WaitLost("b", seconds(2)));
  EXPECT_THAT(answers.lost()["b"].message(), HasSubstr("worker b"));
  // The stage before it reports too, and says whom it lost.
  EXPECT_TRUE(answers.WaitLost("a", seconds(2)));
  EXPECT_THAT(answers.lost()["a"].message(), HasSubstr("b"));
  (*pipeline)->Close();
  // The survivor takes the next plan.
  EXPECT_FALSE(Logits(program, {&a}).empty());
}

TEST_F(PipelineTest, AFrozenWorkerIsLostAfterAFewSeconds) {
  const WorkerProcess a = StartWorker("a");
  const v1::Program program = OfferProgram();
  Answers answers;
  const auto pipeline = Load(program, {&a}, &answers);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
  a.process->Signal(SIGSTOP);
  EXPECT_TRUE(Within(milliseconds(2000), [&] { return !Present("a"); })) << "by its heartbeats";
  EXPECT_TRUE(answers.WaitLost("a", seconds(6))) << "by the keepalive";
  a.process->Signal(SIGCONT);
}

TEST_F(PipelineTest, RefusesWhatDoesNotFitAndShowsTheSum) {
  const WorkerProcess worker = StartWorker("small", Token(), {"--memory", "24M"});
  Answers answers;
  const auto pipeline = Load(OfferProgram(), {&worker}, &answers);
  ASSERT_FALSE(pipeline.ok());
  EXPECT_EQ(pipeline.status().code(), Code::kResourceExhausted);
  for (const char* part : {"worker small", "weights", "caches", "buffers", "the memory limit is",
                           "too little", "--memory"}) {
    EXPECT_THAT(pipeline.status().message(), HasSubstr(part));
  }
  EXPECT_EQ(weights_asked_, 0) << "it refused before it fetched";
}

TEST_F(PipelineTest, AProgramThatLiesIsRefusedByItsPathAndTheWorkerServesOn) {
  const WorkerProcess worker = StartWorker("pi");
  const v1::Program good = OfferProgram();
  v1::Program bad = good;
  bad.mutable_weights(0)->set_shape(0, 1);
  Answers answers;
  const auto epoch = store_->NextEpoch();
  const auto refused = Pipeline::Load(
      {{.node_id = worker.node_id, .address = worker.address, .shard = bad}},
      {.epoch = *epoch, .limits = SmallLimits()}, server_->credentials(), &answers, {});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument) << refused.status().message();
  EXPECT_FALSE(Logits(good, {&worker}).empty());
}

TEST_F(PipelineTest, AStepThatIsWrongFailsAndTheNextOnePasses) {
  const WorkerProcess a = StartWorker("a");
  const WorkerProcess b = StartWorker("b");
  Answers answers;
  const auto pipeline = Load(OfferProgram(), {&a, &b}, &answers);
  ASSERT_TRUE(pipeline.ok()) << pipeline.status().message();
  v1::Step wrong = StepOf(1, 0, {3, 1, 4});
  wrong.mutable_spans(0)->set_pages(0, 999);
  (*pipeline)->Send(wrong);
  (*pipeline)->Send(StepOf(2, 0, {3, 1, 4}));
  const v1::StepFailure failure = answers.Failure(1);
  EXPECT_EQ(failure.code(), 3);
  EXPECT_THAT(failure.message(), HasSubstr("999"));
  EXPECT_EQ(answers.Result(2).outputs_size(), 3);
}

TEST_F(PipelineTest, AnOlderEpochIsRefused) {
  const WorkerProcess worker = StartWorker("pi");
  const v1::Program program = OfferProgram();
  Answers answers;
  const auto load = [&](std::uint64_t epoch) {
    return Pipeline::Load(Split(program, {&worker}), {.epoch = epoch, .limits = SmallLimits()},
                          server_->credentials(), &answers, {});
  };
  const auto newer = load(10);
  ASSERT_TRUE(newer.ok()) << newer.status().message();
  const auto older = load(9);
  ASSERT_FALSE(older.ok());
  EXPECT_EQ(older.status().code(), Code::kFailedPrecondition);
  (*newer)->Send(StepOf(1, 0, {1}));
  EXPECT_EQ(answers.Result(1).outputs_size(), 1) << "the newer plan goes on";
  EXPECT_TRUE(Within(seconds(2), [&] { return Find("pi")->epoch == 10; }));
  (*newer)->Close();
  EXPECT_TRUE(Within(seconds(2), [&] { return Find("pi")->epoch == 0; }));
}

TEST_F(PipelineTest, ANodeThatIsSomebodyElseIsNotSpokenTo) {
  const WorkerProcess worker = StartWorker("pi");
  std::vector<Stage> stages = Split(OfferProgram(), {&worker});
  stages[0].node_id = "impostor";
  Answers answers;
  const auto pipeline = Pipeline::Load(stages, {.epoch = 1, .limits = SmallLimits()},
                                       server_->credentials(), &answers, {});
  ASSERT_FALSE(pipeline.ok());
  EXPECT_EQ(pipeline.status().code(), Code::kUnavailable);
  EXPECT_THAT(pipeline.status().message(), HasSubstr("impostor"));
}

}  // namespace
}  // namespace bramble::coordinator
