// Speed of one executor without network, text or scheduler: a prompt, then one id at a time.
//
//     exec_bench MODEL.gguf [threads] [prompt ids] [decoded ids] [runs]
//
// Prints ids a second of each run, and what handing out work costs.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "model/model.h"
#include "tests/model_golden/model_source.h"
#include "worker/exec/executor.h"
#include "worker/exec/team.h"

namespace {

using namespace bramble;
using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Processor time of all threads: what counts on a machine that others use too.
double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// The next rows of slot 0, the last with an output.
v1::Step MakeStep(std::uint32_t position, const std::vector<std::uint32_t>& ids,
                  std::uint32_t page_positions) {
  v1::Step step;
  v1::Span& span = *step.add_spans();
  span.set_position(position);
  for (const std::uint32_t id : ids) span.add_ids(id);
  const auto end = position + static_cast<std::uint32_t>(ids.size());
  for (std::uint32_t p = (position + page_positions - 1) / page_positions;
       p < (end + page_positions - 1) / page_positions; ++p) {
    span.add_pages(p);
  }
  if (position == 0) {
    step.add_closed(0);
    span.mutable_start();
  }
  v1::Output& output = *span.add_outputs();
  output.set_row(static_cast<std::uint32_t>(ids.size() - 1));
  output.set_draw(true);
  return step;
}

std::uint32_t RunStep(worker::Executor& executor, const v1::Step& step) {
  worker::StepOutput out;
  const Status status = executor.Run(step, {}, out);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    std::exit(1);
  }
  return out.outputs[0].id();
}

// As many stretches of one item for each thread as a step of a large model has, many times.
class EmptyWork final : public worker::Team::Work {
 public:
  explicit EmptyWork(int threads) : threads_(static_cast<std::uint64_t>(threads)) {}
  std::uint64_t Next() override { return left_-- > 0 ? threads_ : 0; }
  void Do(std::uint64_t, std::uint64_t, int) override {}
  static constexpr int kStretches = 200000;

 private:
  std::uint64_t threads_;
  int left_ = kStretches;
};

void MeasureStretch(int threads) {
  worker::Team team(threads);
  EmptyWork work(threads);
  const Clock::time_point start = Clock::now();
  team.Run(work);
  std::printf("a stretch of nothing, %d threads: %.0f ns\n", threads,
              Seconds(start) / EmptyWork::kStretches * 1e9);
}

int Bench(int argc, char** argv) {
  if (argc < 2) return 2;
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? static_cast<int>(std::strtol(argv[i], nullptr, 10)) : otherwise;
  };
  const int threads = argument(2, 2);
  const int prompt = argument(3, 128);
  const int decoded = argument(4, 128);
  MeasureStretch(threads);
  const auto model = model::Model::Open(argv[1], {});
  if (!model.ok()) {
    std::fprintf(stderr, "%s\n", model.status().message().c_str());
    return 1;
  }
  v1::Limits limits;
  limits.set_max_rows(512);
  limits.set_max_outputs(8);
  limits.set_max_sequences(4);
  limits.set_page_positions(16);
  limits.set_pages(static_cast<std::uint32_t>((prompt + decoded) / 16 + 2));
  worker::ExecutorOptions options;
  options.threads = threads;
  if (const char* isa = std::getenv("BRAMBLE_ISA")) options.isa = isa;
  ModelSource source(**model);
  const Clock::time_point load = Clock::now();
  auto executor = worker::Executor::Create((*model)->program(), limits, options, source);
  if (!executor.ok()) {
    std::fprintf(stderr, "%s\n", executor.status().message().c_str());
    return 1;
  }
  std::printf("loaded in %.2f s\n", Seconds(load));
  for (const std::string& variant : (*executor)->Variants()) std::printf("%s ", variant.c_str());
  std::printf("\n");
  for (int run = 0; run < argument(5, 4); ++run) {
    std::vector<std::uint32_t> ids;
    for (int i = 0; i < prompt; ++i) {
      ids.push_back(static_cast<std::uint32_t>(i * 7919 + run * 104729 + 11) %
                    (*model)->program().vocabulary_size());
    }
    std::uint32_t position = 0;
    std::uint32_t id = 0;
    const Clock::time_point start = Clock::now();
    const double start_cpu = ProcessorSeconds();
    for (std::size_t first = 0; first < ids.size(); first += 512) {
      const std::vector<std::uint32_t> chunk(
          ids.begin() + static_cast<std::ptrdiff_t>(first),
          ids.begin() + static_cast<std::ptrdiff_t>(std::min(first + 512, ids.size())));
      id = RunStep(**executor, MakeStep(position, chunk, 16));
      position += static_cast<std::uint32_t>(chunk.size());
    }
    const double prefill = Seconds(start);
    const double prefill_cpu = ProcessorSeconds() - start_cpu;
    const Clock::time_point middle = Clock::now();
    for (int i = 1; i < decoded; ++i) id = RunStep(**executor, MakeStep(position++, {id}, 16));
    const double decode = Seconds(middle);
    const double decode_cpu = ProcessorSeconds() - start_cpu - prefill_cpu;
    std::printf("prefill %.0f /s (%.0f us of processors an id), ", prompt / prefill,
                prefill_cpu / prompt * 1e6);
    std::printf("decode %.1f /s (%.0f us of processors)\n", (decoded - 1) / decode,
                decode_cpu / (decoded - 1) * 1e6);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) { return Bench(argc, argv); }
