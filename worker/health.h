#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bramble/v1/cluster.pb.h"
#include "common/mutex.h"

namespace bramble::worker {

struct ZoneTemperature {
  std::string zone;  // "thermal_zone0", or "hwmon0" where the machine has no zones
  std::string type;  // "cpu-thermal"
  double celsius = 0;
};

struct CpuClock {
  unsigned cpu = 0;
  double hertz = 0;
  double max_hertz = 0;  // that the processor could reach; 0: unknown
};

// How the board is, as far as its kernel says. What a machine has no sensor for is absent, never 0.
struct DeviceHealth {
  std::vector<ZoneTemperature> temperatures;
  std::vector<CpuClock> clocks;
  std::optional<bool> undervoltage;        // since the kernel last asked, two seconds ago at most
  std::optional<std::uint32_t> throttled;  // now; bits of NodeHealth.throttled
};

// Reads sysfs below `root` ("" is this machine): thermal zones (or hwmon's processor sensors),
// cpufreq, and on a Raspberry Pi the firmware's under-voltage alarm and throttling. Starts no
// program. Reads of sensors may take a millisecond or two.
DeviceHealth ReadHealth(const std::string& root = "");

// What a heartbeat says of it.
v1::NodeHealth ToProto(const DeviceHealth& health);

// The newest reading, at most kAge old: heartbeats are more frequent than sensors are worth asking.
// Thread-safe.
class HealthMonitor {
 public:
  static constexpr std::chrono::milliseconds kAge{2000};

  DeviceHealth Now();

 private:
  Mutex mu_;
  std::optional<DeviceHealth> newest_ GUARDED_BY(mu_);
  std::chrono::steady_clock::time_point read_ GUARDED_BY(mu_);
};

}  // namespace bramble::worker
