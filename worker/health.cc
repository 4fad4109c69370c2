#include "worker/health.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace bramble::worker {
namespace {

namespace fs = std::filesystem;

// More of a kind than any board has; the rest is left out.
constexpr std::size_t kMost = 64;
constexpr std::size_t kMaxCpus = 256;
constexpr std::uint32_t kThrottledNow = 0xF;

// The first word of a file of sysfs; none if it can't be read (a sensor that is asleep says so).
std::optional<std::string> Word(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  if (!(file >> word)) return std::nullopt;
  return word.substr(0, 64);
}

template <typename T>
std::optional<T> Number(const fs::path& path, int base = 10) {
  const auto word = Word(path);
  if (!word) return std::nullopt;
  T value = 0;
  const char* end = word->data() + word->size();
  const auto parsed = std::from_chars(word->data(), end, value, base);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

// Entries of a folder whose names begin so, by name; none if there is no such folder.
std::vector<fs::path> Entries(const fs::path& folder, std::string_view prefix,
                              std::size_t most = kMost) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename().string().starts_with(prefix)) entries.push_back(entry.path());
  }
  std::sort(entries.begin(), entries.end());
  if (entries.size() > most) entries.resize(most);
  return entries;
}

std::vector<ZoneTemperature> Zones(const fs::path& sys) {
  std::vector<ZoneTemperature> zones;
  for (const fs::path& zone : Entries(sys / "class/thermal", "thermal_zone")) {
    const auto thousandths = Number<std::int64_t>(zone / "temp");
    if (!thousandths) continue;
    zones.push_back({zone.filename().string(), Word(zone / "type").value_or("unknown"),
                     static_cast<double>(*thousandths) / 1000});
  }
  return zones;
}

// Desktop processors often have no thermal zone, only a sensor of hwmon.
std::vector<ZoneTemperature> ProcessorSensors(const fs::path& sys) {
  std::vector<ZoneTemperature> zones;
  for (const fs::path& device : Entries(sys / "class/hwmon", "hwmon")) {
    const std::string name = Word(device / "name").value_or("");
    if (name != "coretemp" && name != "k10temp" && name != "zenpower" && name != "cpu_thermal")
      continue;
    const auto thousandths = Number<std::int64_t>(device / "temp1_input");
    if (!thousandths) continue;
    zones.push_back({device.filename().string(), name, static_cast<double>(*thousandths) / 1000});
  }
  return zones;
}

std::vector<CpuClock> Clocks(const fs::path& sys) {
  std::vector<CpuClock> clocks;
  for (const fs::path& cpu : Entries(sys / "devices/system/cpu", "cpu", kMaxCpus)) {
    const std::string digits = cpu.filename().string().substr(3);
    unsigned number = 0;
    const char* end = digits.data() + digits.size();
    if (digits.empty() || std::from_chars(digits.data(), end, number).ptr != end) continue;
    const auto now = Number<std::uint64_t>(cpu / "cpufreq/scaling_cur_freq");
    if (!now) continue;
    const auto most = Number<std::uint64_t>(cpu / "cpufreq/cpuinfo_max_freq").value_or(0);
    clocks.push_back({number, static_cast<double>(*now) * 1e3, static_cast<double>(most) * 1e3});
  }
  std::sort(clocks.begin(), clocks.end(),
            [](const CpuClock& a, const CpuClock& b) { return a.cpu < b.cpu; });
  return clocks;
}

// The firmware's alarm of a Raspberry Pi, found by name: the numbers of hwmon devices move.
std::optional<bool> Undervoltage(const fs::path& sys) {
  for (const fs::path& device : Entries(sys / "class/hwmon", "hwmon")) {
    if (Word(device / "name") != "rpi_volt") continue;
    if (const auto alarm = Number<int>(device / "in0_lcrit_alarm")) return *alarm != 0;
  }
  return std::nullopt;
}

// Hexadecimal without 0x. The kernel's under-voltage driver asks the firmware every two seconds;
// this file holds what it heard last.
std::optional<std::uint32_t> Throttled(const fs::path& sys) {
  for (const fs::path& soc : Entries(sys / "devices/platform", "soc")) {
    for (const fs::path& device : Entries(soc, "soc")) {
      if (!device.filename().string().ends_with(":firmware")) continue;
      if (const auto bits = Number<std::uint32_t>(device / "get_throttled", 16))
        return *bits & kThrottledNow;
    }
  }
  return std::nullopt;
}

}  // namespace

DeviceHealth ReadHealth(const std::string& root) {
  const fs::path sys = root + "/sys";
  DeviceHealth health;
  health.temperatures = Zones(sys);
  if (health.temperatures.empty()) health.temperatures = ProcessorSensors(sys);
  health.clocks = Clocks(sys);
  health.undervoltage = Undervoltage(sys);
  health.throttled = Throttled(sys);
  return health;
}

v1::NodeHealth ToProto(const DeviceHealth& health) {
  v1::NodeHealth proto;
  for (const ZoneTemperature& zone : health.temperatures) {
    if (!proto.has_hottest_celsius() || zone.celsius > proto.hottest_celsius())
      proto.set_hottest_celsius(zone.celsius);
  }
  for (const CpuClock& clock : health.clocks) {
    if (!proto.has_slowest_hertz() || clock.hertz < proto.slowest_hertz()) {
      proto.set_slowest_hertz(clock.hertz);
      proto.set_max_hertz(clock.max_hertz);
    }
  }
  if (health.undervoltage) proto.set_undervoltage(*health.undervoltage);
  if (health.throttled) proto.set_throttled(*health.throttled);
  return proto;
}

DeviceHealth HealthMonitor::Now() {
  const auto now = std::chrono::steady_clock::now();
  const MutexLock lock(mu_);
  if (!newest_ || now - read_ >= kAge) {
    newest_ = ReadHealth();
    read_ = now;
  }
  return *newest_;
}

}  // namespace bramble::worker
