#include "worker/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bramble::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::MemoryUse Memory() {
  v1::MemoryUse memory;
  memory.set_weight_bytes(1000);
  memory.set_cache_bytes(200);
  memory.set_buffer_bytes(30);
  return memory;
}

TEST(WorkerMetrics, ABoardWithoutSensorsHasNoSeriesOfThem) {
  WorkerMetrics metrics("1.2.3");
  metrics.Board({}, 8000, 5000);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("bramble_build_info{version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("bramble_node_memory_available_bytes 5000"));
  for (const char* name : {"bramble_node_temperature_celsius{", "bramble_node_undervoltage ",
                           "bramble_node_throttled{", "bramble_node_cpu_frequency_hertz{"}) {
    EXPECT_THAT(text, Not(HasSubstr(name)));
  }
}

TEST(WorkerMetrics, SaysHowTheBoardIs) {
  WorkerMetrics metrics("1");
  metrics.Board({.temperatures = {{"thermal_zone0", "cpu-thermal", 61.5}},
                 .clocks = {{0, 6e8, 1.8e9}},
                 .undervoltage = true,
                 .throttled = 4},
                0, 0);
  const std::string text = metrics.Text();
  for (const char* line :
       {"bramble_node_temperature_celsius{type=\"cpu-thermal\",zone=\"thermal_zone0\"} 61.5",
        "bramble_node_cpu_frequency_hertz{cpu=\"0\"} 600000000",
        "bramble_node_cpu_frequency_max_hertz{cpu=\"0\"} 1800000000", "bramble_node_undervoltage 1",
        "bramble_node_throttled{reason=\"throttled\"} 1",
        "bramble_node_throttled{reason=\"undervoltage\"} 0"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(WorkerMetrics, BooksEachStepOnce) {
  WorkerMetrics metrics("1");
  metrics.Loaded(7, Memory(), 64);
  metrics.StepDone({.rows = 5,
                    .wait_seconds = 0.5,
                    .compute_seconds = 0.25,
                    .bytes_in = 100,
                    .bytes_out = 40,
                    .failed = false,
                    .pages_in_use = 3});
  metrics.StepDone({.rows = 0, .pages_in_use = 2});  // only closed a sequence
  metrics.StepDone({.rows = 1, .failed = true, .pages_in_use = 2});
  metrics.Received(77);
  metrics.Node(7, 9000, {.bytes = 500, .free_bytes = 600});
  const std::string text = metrics.Text();
  for (const char* line :
       {"bramble_worker_rows_total 6", "bramble_worker_compute_seconds_count 2",
        "bramble_worker_compute_seconds_sum 0.25", "bramble_worker_wait_seconds_sum 0.5",
        "bramble_worker_steps_failed_total 1", "bramble_worker_pages 64",
        "bramble_worker_pages_in_use 2", "bramble_worker_epoch 7",
        "bramble_worker_memory_bytes{kind=\"weights\"} 1000",
        "bramble_link_activation_bytes_total{direction=\"in\"} 100",
        "bramble_link_activation_bytes_total{direction=\"out\"} 40",
        "bramble_weights_received_bytes_total 77", "bramble_weights_stored_bytes 500",
        "bramble_weights_free_bytes 600", "bramble_worker_memory_limit_bytes 9000"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(WorkerMetrics, AStageThatIsGoneHoldsNothing) {
  WorkerMetrics metrics("1");
  metrics.Loaded(7, Memory(), 64);
  metrics.Node(0, 9000, {});
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_worker_memory_bytes{kind=\"caches\"} 0"));
  // Loaded but not to be found yet, then found.
  metrics.Node(7, 9000, {});
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_worker_memory_bytes{kind=\"caches\"} 200"));
}

TEST(WorkerMetrics, CountsALossOfTheCoordinatorOnce) {
  WorkerMetrics metrics("1");
  metrics.Link(false);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_link_coordinator_lost_total 0"));
  metrics.Link(true);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_link_coordinator_connected 1"));
  metrics.Link(false);
  metrics.Link(false);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_link_coordinator_lost_total 1"));
}

TEST(WorkerMetrics, HasTheSeriesOfEveryProcess) {
  const std::string text = WorkerMetrics("1").Text();
  for (const char* name : {"process_cpu_seconds_total ", "process_resident_memory_bytes ",
                           "process_open_fds ", "process_start_time_seconds "}) {
    EXPECT_THAT(text, HasSubstr(name));
  }
}

}  // namespace
}  // namespace bramble::worker
