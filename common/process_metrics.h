#pragma once

#include <memory>

namespace prometheus {
class Registry;
}

namespace bramble {

// The series that every Prometheus client has of its own process: process_cpu_seconds_total,
// process_resident_memory_bytes, process_open_fds, process_start_time_seconds. Thread-safe.
class ProcessMetrics {
 public:
  // `registry` outlives it.
  explicit ProcessMetrics(prometheus::Registry& registry);
  ~ProcessMetrics();
  ProcessMetrics(const ProcessMetrics&) = delete;
  ProcessMetrics& operator=(const ProcessMetrics&) = delete;

  // Brings them up to date.
  void Read();

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace bramble
