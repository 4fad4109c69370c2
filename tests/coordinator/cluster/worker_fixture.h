#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "common/process.h"
#include "coordinator/cluster/pipeline.h"
#include "proto/program/shard.h"
#include "tests/coordinator/cluster/cluster_fixture.h"
#include "tests/proto/small_program.h"

namespace bramble::coordinator {

// The built bramble-worker as a process. Its standard error is in `log_path`.
struct WorkerProcess {
  std::unique_ptr<Process> process;
  std::string node_id;
  std::string address;
};

// Waits for results, as the scheduler would.
class Answers : public PipelineEvents {
 public:
  void OnResult(v1::StepResult result) override {
    const MutexLock lock(mu_);
    results_[result.number()] = std::move(result);
    changed_.NotifyAll();
  }
  void OnFailure(v1::StepFailure failure) override {
    const MutexLock lock(mu_);
    failures_[failure.number()] = std::move(failure);
    changed_.NotifyAll();
  }
  void OnLost(const std::string& node_id, const Status& why) override {
    const MutexLock lock(mu_);
    lost_[node_id] = why;
    changed_.NotifyAll();
  }

  // The result of a step; with a test failure, an empty one after ten seconds or a failure.
  v1::StepResult Result(std::uint64_t number) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const MutexLock lock(mu_);
    while (!results_.contains(number) && !failures_.contains(number)) {
      if (!changed_.WaitUntil(mu_, end)) break;
    }
    if (results_.contains(number)) return results_[number];
    ADD_FAILURE() << "no result of step " << number << ": " << failures_[number].message();
    return {};
  }

  v1::StepFailure Failure(std::uint64_t number) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    const MutexLock lock(mu_);
    while (!failures_.contains(number)) {
      if (!changed_.WaitUntil(mu_, end)) break;
    }
    return failures_[number];
  }

  // False if none came within the time.
  bool WaitLost(const std::string& node_id, std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    const MutexLock lock(mu_);
    while (!lost_.contains(node_id)) {
      if (!changed_.WaitUntil(mu_, end)) return lost_.contains(node_id);
    }
    return true;
  }

  std::map<std::string, Status> lost() {
    const MutexLock lock(mu_);
    return lost_;
  }

 private:
  Mutex mu_;
  Condition changed_;
  std::map<std::uint64_t, v1::StepResult> results_ GUARDED_BY(mu_);
  std::map<std::uint64_t, v1::StepFailure> failures_ GUARDED_BY(mu_);
  std::map<std::string, Status> lost_ GUARDED_BY(mu_);
};

// A coordinator, and workers as processes of their own.
class WorkerFixture : public ClusterFixture {
 protected:
  static std::string WorkerPath() { return std::string(BRAMBLE_BINARY_DIR) + "/bramble-worker"; }

  void TearDown() override {
    if (HasFailure()) {
      for (const std::string& path : logs_) {
        std::ostringstream log;
        log << std::ifstream(path).rdbuf();
        std::cerr << "--- " << path << "\n" << log.str();
      }
    }
    ClusterFixture::TearDown();
  }

  std::string StateOf(const std::string& name) const { return cluster_.folder() + "/" + name; }
  std::string LogOf(const std::string& name) const {
    return cluster_.folder() + "/" + name + ".log";
  }

  std::string ReadLog(const std::string& name) const {
    std::ostringstream log;
    log << std::ifstream(LogOf(name)).rdbuf();
    return log.str();
  }

  // Starts the process, and does not wait for it. An empty token: none is given.
  std::unique_ptr<Process> Launch(const std::string& name, const std::string& token,
                                  const std::vector<std::string>& more = {}) {
    ProcessOptions options;
    options.arguments = {WorkerPath(), "--join",      address(), "--state", StateOf(name),
                         "--listen",   "127.0.0.1:0", "--name",  name,      "--threads",
                         "1"};
    options.arguments.insert(options.arguments.end(), more.begin(), more.end());
    options.log_path = LogOf(name);
    if (!token.empty()) {
      const std::string path = cluster_.folder() + "/" + name + ".token";
      EXPECT_TRUE(WriteFileAtomically(path, token, 0600).ok());
      options.arguments.insert(options.arguments.end(), {"--token-file", path});
    }
    logs_.push_back(options.log_path);
    auto process = Process::Start(options);
    EXPECT_TRUE(process.ok()) << process.status().message();
    return process.ok() ? *std::move(process) : nullptr;
  }

  WorkerProcess StartWorker(const std::string& name, const std::string& token,
                            const std::vector<std::string>& more = {}) {
    WorkerProcess worker;
    worker.process = Launch(name, token, more);
    const auto ready =
        worker.process->WaitReady(std::chrono::steady_clock::now() + std::chrono::seconds(30));
    EXPECT_TRUE(ready.ok()) << ready.status().message();
    if (!ready.ok()) return worker;
    worker.node_id = ready->at("node");
    worker.address = ready->at("grpc");
    return worker;
  }
  WorkerProcess StartWorker(const std::string& name) { return StartWorker(name, Token()); }

  // A small transformer whose weights the coordinator offers, under their real hashes.
  v1::Program OfferProgram(const testing::SmallModel& model = {}) {
    testing::SmallProgram small = testing::SmallProgramBuilder(model).Build();
    for (v1::Weight& weight : *small.program.mutable_weights()) {
      const std::vector<std::byte>& bytes = small.bytes.at(weight.sha256());
      weight.set_sha256(AddWeight({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    }
    return small.program;
  }

  static v1::Limits SmallLimits() {
    v1::Limits limits;
    limits.set_max_rows(16);
    limits.set_max_outputs(16);
    limits.set_max_sequences(4);
    limits.set_pages(32);
    limits.set_page_positions(8);
    return limits;
  }

  // Equal runs of blocks on the workers, in order.
  static std::vector<Stage> Split(const v1::Program& program,
                                  const std::vector<const WorkerProcess*>& workers) {
    std::vector<Stage> stages;
    const auto blocks = static_cast<std::uint32_t>(program.blocks_size());
    const auto count = static_cast<std::uint32_t>(workers.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t first = blocks * i / count;
      const std::uint32_t end = blocks * (i + 1) / count;
      stages.push_back({.node_id = workers[i]->node_id,
                        .address = workers[i]->address,
                        .shard = program::ExtractShard(program, first, end - first)});
    }
    return stages;
  }

  Result<std::unique_ptr<Pipeline>> Load(const v1::Program& program,
                                         const std::vector<const WorkerProcess*>& workers,
                                         Answers* answers) {
    const auto epoch = store_->NextEpoch();
    EXPECT_TRUE(epoch.ok());
    return Pipeline::Load(Split(program, workers), {.epoch = *epoch, .limits = SmallLimits()},
                          server_->credentials(), answers,
                          [this](const LoadProgress& p) { last_progress_ = p; });
  }

  // Ids at positions `first`.. of sequence 0, with the logits of each.
  static v1::Step StepOf(std::uint64_t number, std::uint32_t first,
                         const std::vector<std::uint32_t>& ids) {
    v1::Step step;
    step.set_number(number);
    v1::Span& span = *step.add_spans();
    span.set_position(first);
    if (first == 0) {
      for (std::uint32_t page = 0; page < 4; ++page) span.add_pages(page);
      span.mutable_start()->set_prompt_ids(static_cast<std::uint32_t>(ids.size()));
      span.mutable_start()->mutable_sampling()->set_top_p(1);
      span.mutable_start()->mutable_sampling()->set_repetition_penalty(1);
    }
    for (std::uint32_t i = 0; i < ids.size(); ++i) {
      span.add_ids(ids[i]);
      v1::Output& output = *span.add_outputs();
      output.set_row(i);
      output.set_logits(true);
      output.set_draw(true);
    }
    return step;
  }

  LoadProgress last_progress_;
  std::vector<std::string> logs_;
};

}  // namespace bramble::coordinator
