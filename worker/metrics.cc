#include "worker/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <chrono>
#include <utility>

#include "common/mutex.h"
#include "common/process_metrics.h"

namespace bramble::worker {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Labels;
using prometheus::Registry;

const Histogram::BucketBoundaries& SecondsBuckets() {
  static const Histogram::BucketBoundaries buckets = {
      0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
  return buckets;
}

struct Reason {
  std::uint32_t bit;
  const char* name;
};
constexpr std::array<Reason, 4> kReasons = {
    {{1, "undervoltage"}, {2, "frequency_capped"}, {4, "throttled"}, {8, "soft_temp_limit"}}};

}  // namespace

struct WorkerMetrics::Families {
  Family<Gauge>& Gauges(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  Gauge& Level(const char* name, const char* help) { return Gauges(name, help).Add({}); }
  Family<Counter>& Counters(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
  }
  Counter& Count(const char* name, const char* help) { return Counters(name, help).Add({}); }
  Histogram& Spread(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(
        {}, SecondsBuckets());
  }

  Registry registry;

  Histogram& compute = Spread("bramble_worker_compute_seconds", "Time that a step was computed.");
  Histogram& wait =
      Spread("bramble_worker_wait_seconds", "Time that a step waited before it was computed.");
  Counter& rows = Count("bramble_worker_rows_total", "Rows computed.");
  Counter& failed = Count("bramble_worker_steps_failed_total", "Steps that failed here.");
  Gauge& epoch = Level("bramble_worker_epoch", "Number of the plan held; 0 while none is.");
  Gauge& pages = Level("bramble_worker_pages", "Key-value pages of the stage.");
  Gauge& pages_used =
      Level("bramble_worker_pages_in_use", "Key-value pages of sequences that are open.");
  Family<Gauge>& memory = Gauges("bramble_worker_memory_bytes", "Memory that the stage holds.");
  Gauge& weights = memory.Add({{"kind", "weights"}});
  Gauge& caches = memory.Add({{"kind", "caches"}});
  Gauge& buffers = memory.Add({{"kind", "buffers"}});

  Family<Counter>& activations =
      Counters("bramble_link_activation_bytes_total", "Activations from and to neighbours.");
  Counter& bytes_in = activations.Add({{"direction", "in"}});
  Counter& bytes_out = activations.Add({{"direction", "out"}});
  Gauge& connected =
      Level("bramble_link_coordinator_connected", "1 while the coordinator hears this worker.");
  Counter& lost = Count("bramble_link_coordinator_lost_total", "Times the coordinator was lost.");

  Counter& received =
      Count("bramble_weights_received_bytes_total", "Weights received from the coordinator.");
  Gauge& stored = Level("bramble_weights_stored_bytes", "Weights on this machine's disk.");
  Gauge& room = Level("bramble_weights_free_bytes", "Room for more weights on the disk.");
  Gauge& limit = Level("bramble_worker_memory_limit_bytes", "Memory that the worker may use.");
  Gauge& expiry = Level("bramble_certificate_expiry_timestamp_seconds",
                        "When this node's certificate ends, as seconds since 1970.");

  Gauge& total = Level("bramble_node_memory_bytes", "Memory of the machine or its control group.");
  Gauge& available =
      Level("bramble_node_memory_available_bytes", "Memory that could be used without swapping.");
  Family<Gauge>& temperature =
      Gauges("bramble_node_temperature_celsius", "Temperature of a thermal zone.");
  Family<Gauge>& clock = Gauges("bramble_node_cpu_frequency_hertz", "Clock of a processor now.");
  Family<Gauge>& most_clock =
      Gauges("bramble_node_cpu_frequency_max_hertz", "Clock that a processor could reach.");
  Family<Gauge>& undervoltage =
      Gauges("bramble_node_undervoltage", "1 if the board's supply fell below its limit.");
  Family<Gauge>& throttled =
      Gauges("bramble_node_throttled", "1 while the board's firmware slows it for this reason.");

  ProcessMetrics process{registry};

  Mutex mu;
  bool heard GUARDED_BY(mu) = false;
  std::uint64_t loaded_epoch GUARDED_BY(mu) = 0;  // the last that was loaded, and what it holds
  v1::MemoryUse loaded_memory GUARDED_BY(mu);
  std::uint32_t loaded_pages GUARDED_BY(mu) = 0;
};

WorkerMetrics::WorkerMetrics(const std::string& version) : families_(std::make_unique<Families>()) {
  families_->Gauges("bramble_build_info", "Always 1.").Add({{"version", version}}).Set(1);
}

WorkerMetrics::~WorkerMetrics() = default;

std::string WorkerMetrics::Text() const {
  Families& f = *families_;
  f.process.Read();
  return prometheus::TextSerializer().Serialize(f.registry.Collect());
}

void WorkerMetrics::Loaded(std::uint64_t epoch, const v1::MemoryUse& memory, std::uint32_t pages) {
  Families& f = *families_;
  const MutexLock lock(f.mu);
  f.loaded_epoch = epoch;
  f.loaded_memory = memory;
  f.loaded_pages = pages;
  f.pages_used.Set(0);
}

void WorkerMetrics::StepDone(const StepBooks& step) {
  Families& f = *families_;
  f.pages_used.Set(step.pages_in_use);
  if (step.failed) f.failed.Increment();
  if (step.rows == 0) return;
  f.compute.Observe(step.compute_seconds);
  f.wait.Observe(step.wait_seconds);
  f.rows.Increment(static_cast<double>(step.rows));
  f.bytes_in.Increment(static_cast<double>(step.bytes_in));
  f.bytes_out.Increment(static_cast<double>(step.bytes_out));
}

void WorkerMetrics::Received(std::uint64_t weight_bytes) {
  families_->received.Increment(static_cast<double>(weight_bytes));
}

void WorkerMetrics::Link(bool coordinator_hears_us) {
  Families& f = *families_;
  const MutexLock lock(f.mu);
  f.connected.Set(coordinator_hears_us ? 1 : 0);
  if (std::exchange(f.heard, coordinator_hears_us) && !coordinator_hears_us) f.lost.Increment();
}

void WorkerMetrics::Node(std::uint64_t epoch, std::uint64_t memory_limit, const StoreUsage& store) {
  Families& f = *families_;
  const MutexLock lock(f.mu);
  // A stage that has ended holds nothing any more.
  const bool here = epoch != 0 && epoch == f.loaded_epoch;
  const v1::MemoryUse memory = here ? f.loaded_memory : v1::MemoryUse();
  f.epoch.Set(static_cast<double>(epoch));
  f.weights.Set(static_cast<double>(memory.weight_bytes()));
  f.caches.Set(static_cast<double>(memory.cache_bytes()));
  f.buffers.Set(static_cast<double>(memory.buffer_bytes()));
  f.pages.Set(here ? f.loaded_pages : 0);
  if (!here) f.pages_used.Set(0);
  f.limit.Set(static_cast<double>(memory_limit));
  f.stored.Set(static_cast<double>(store.bytes));
  f.room.Set(static_cast<double>(store.free_bytes));
}

void WorkerMetrics::Board(const DeviceHealth& health, std::uint64_t memory_total,
                          std::uint64_t memory_available) {
  Families& f = *families_;
  f.total.Set(static_cast<double>(memory_total));
  f.available.Set(static_cast<double>(memory_available));
  for (const ZoneTemperature& zone : health.temperatures) {
    f.temperature.Add({{"zone", zone.zone}, {"type", zone.type}}).Set(zone.celsius);
  }
  for (const CpuClock& clock : health.clocks) {
    const Labels labels{{"cpu", std::to_string(clock.cpu)}};
    f.clock.Add(labels).Set(clock.hertz);
    if (clock.max_hertz > 0) f.most_clock.Add(labels).Set(clock.max_hertz);
  }
  if (health.undervoltage) f.undervoltage.Add({}).Set(*health.undervoltage ? 1 : 0);
  if (!health.throttled) return;
  for (const Reason& reason : kReasons) {
    f.throttled.Add({{"reason", reason.name}}).Set((*health.throttled & reason.bit) != 0 ? 1 : 0);
  }
}

void WorkerMetrics::Certificate(const NodeIdentity& identity) {
  const auto end = identity.not_after.time_since_epoch();
  families_->expiry.Set(std::chrono::duration<double>(end).count());
}

}  // namespace bramble::worker
