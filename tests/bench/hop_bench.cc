// What a hop costs: the time that stages on loopback, with mutual TLS, add to a step whose
// computing takes no time. Each stage is a service of its own with its own compute thread; all of
// them share this process and its gRPC threads.
//
//   hop_bench [--steps N] [--in-flight N] [--bytes N]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "common/log.h"
#include "tests/worker/link/test_worker.h"

namespace bramble::worker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kEpoch = 1;

struct Options {
  std::uint64_t steps = 5000;
  std::uint64_t in_flight = 1;
  std::size_t bytes = 4096;
};

class Chain {
 public:
  Chain(std::size_t stages, std::size_t bytes)
      : credentials_(
            *MakeChannelCredentials(authority_.Issue(Role::kCoordinator, kCoordinatorNodeId))) {
    for (std::size_t i = 0; i < stages; ++i) {
      workers_.push_back(std::make_unique<TestWorker>(authority_, "w" + std::to_string(i)));
    }
    for (std::size_t i = 0; i < stages; ++i) {
      StageOptions options{.epoch = kEpoch, .first = i == 0, .last = i + 1 == stages};
      if (i > 0) options.previous = workers_[i - 1]->name();
      if (!options.last) options.next = workers_[i + 1]->peer();
      const bool last = options.last;
      workers_[i]->Install(options, [last, bytes](Work& work) {
        work.message.clear_activations();
        if (last) {
          work.outputs.emplace_back().set_id(7);
        } else {
          work.message.add_activations(std::string(bytes, 'x'));
        }
      });
    }
    for (const auto& worker : workers_) {
      runs_.push_back(std::make_unique<TestRun>(*worker, credentials_, kEpoch));
    }
    for (const auto& run : runs_) {
      run->context.set_deadline(std::chrono::system_clock::now() + std::chrono::hours(1));
      run->stream->WaitForInitialMetadata();
    }
  }
  ~Chain() {
    for (const auto& run : runs_) run->context.TryCancel();
    for (const auto& run : runs_) static_cast<void>(run->stream->Finish());
  }
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;

  // Microseconds of each step, from its sending to its result, and of a step's share of the whole
  // time.
  void Run(const Options& options, std::vector<double>* each, double* share) {
    std::vector<Clock::time_point> sent(options.steps + 1);
    std::uint64_t next = 1;
    const auto send = [&] {
      v1::RunRequest request;
      request.mutable_step()->set_epoch(kEpoch);
      request.mutable_step()->set_number(number_ + next);
      sent[next++] = Clock::now();
      runs_.front()->stream->Write(request);
    };
    const Clock::time_point start = Clock::now();
    while (next <= std::min(options.in_flight, options.steps)) send();
    for (std::uint64_t done = 1; done <= options.steps; ++done) {
      v1::RunResponse response;
      if (!runs_.back()->stream->Read(&response)) {
        std::fprintf(stderr, "the pipeline broke\n");
        std::exit(1);
      }
      each->push_back(std::chrono::duration<double, std::micro>(Clock::now() - sent[done]).count());
      if (next <= options.steps) send();
    }
    number_ += options.steps;
    *share = std::chrono::duration<double, std::micro>(Clock::now() - start).count() /
             static_cast<double>(options.steps);
  }

 private:
  TestAuthority authority_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::vector<std::unique_ptr<TestWorker>> workers_;
  std::vector<std::unique_ptr<TestRun>> runs_;
  std::uint64_t number_ = 0;
};

double Percentile(std::vector<double> values, double p) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))];
}

int Main(const Options& options) {
  std::printf("%llu bytes a hop, %llu steps in flight, %llu steps\n",
              static_cast<unsigned long long>(options.bytes),
              static_cast<unsigned long long>(options.in_flight),
              static_cast<unsigned long long>(options.steps));
  std::printf("stages  median us  p10 us  p99 us  us a step\n");
  std::vector<double> medians;
  for (std::size_t stages = 1; stages <= 4; ++stages) {
    Chain chain(stages, options.bytes);
    std::vector<double> each;
    double share = 0;
    Options warm = options;
    warm.steps = std::min<std::uint64_t>(options.steps, 200);
    chain.Run(warm, &each, &share);
    each.clear();
    chain.Run(options, &each, &share);
    medians.push_back(Percentile(each, 0.5));
    std::printf("%6zu  %9.1f  %6.1f  %6.1f  %9.1f\n", stages, medians.back(), Percentile(each, 0.1),
                Percentile(each, 0.99), share);
  }
  std::printf("a hop: %.1f us (median of 4 stages less that of 1, by 3)\n",
              (medians[3] - medians[0]) / 3);
  return 0;
}

}  // namespace
}  // namespace bramble::worker

int main(int count, char** arguments) {
  bramble::worker::Options options;
  for (int i = 1; i + 1 < count; i += 2) {
    const std::string name = arguments[i];
    const auto value = std::strtoull(arguments[i + 1], nullptr, 10);
    if (name == "--steps") options.steps = value;
    if (name == "--in-flight") options.in_flight = value;
    if (name == "--bytes") options.bytes = value;
  }
  if (options.steps == 0 || options.in_flight == 0) {
    std::fprintf(stderr, "hop_bench [--steps N] [--in-flight N] [--bytes N]\n");
    return 2;
  }
  bramble::LogOptions log;
  log.level = bramble::LogLevel::kError;
  log.logger = "hop_bench";
  bramble::StartLog(log);
  return bramble::worker::Main(options);
}
