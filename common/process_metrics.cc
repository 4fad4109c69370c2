#include "common/process_metrics.h"

#include <dirent.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>

#include "common/mutex.h"

namespace bramble {
namespace {

using prometheus::Counter;
using prometheus::Gauge;

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
}

// Descriptors that are open now, without the one that looks.
double OpenDescriptors() {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  int count = -3;  // ".", ".." and the folder's own
  while (readdir(folder) != nullptr) ++count;
  closedir(folder);
  return count;
}

double ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (!(file >> size >> resident)) return 0;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

Gauge& Level(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

struct ProcessMetrics::Series {
  explicit Series(prometheus::Registry& registry)
      : cpu(prometheus::BuildCounter()
                .Name("process_cpu_seconds_total")
                .Help("Processor time of this process.")
                .Register(registry)
                .Add({})),
        resident(
            Level(registry, "process_resident_memory_bytes", "Resident memory of this process.")),
        descriptors(Level(registry, "process_open_fds", "Open file descriptors of this process.")),
        start(Level(registry, "process_start_time_seconds",
                    "When this process began, as seconds since 1970.")) {}

  Mutex mu;
  Counter& cpu;
  Gauge& resident;
  Gauge& descriptors;
  Gauge& start;
};

ProcessMetrics::ProcessMetrics(prometheus::Registry& registry)
    : series_(std::make_unique<Series>(registry)) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  series_->start.Set(std::chrono::duration<double>(now).count());
  Read();
}

ProcessMetrics::~ProcessMetrics() = default;

void ProcessMetrics::Read() {
  const MutexLock lock(series_->mu);
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const double spent = Seconds(usage.ru_utime) + Seconds(usage.ru_stime) - series_->cpu.Value();
    if (spent > 0) series_->cpu.Increment(spent);
  }
  series_->resident.Set(ResidentBytes());
  series_->descriptors.Set(OpenDescriptors());
}

}  // namespace bramble
