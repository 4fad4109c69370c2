#include "worker/health.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "common/files.h"

namespace bramble::worker {
namespace {

// A root folder with the parts of sysfs that a test writes.
class Board : public testing::Test {
 protected:
  Board() : folder_(std::make_unique<TemporaryFolder>(*TemporaryFolder::Make())) {}

  void Write(const std::string& path, const std::string& content) {
    const std::filesystem::path file = root() + "/sys/" + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << content << "\n";
  }
  std::string root() const { return folder_->path(); }

 private:
  std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(Board, WithoutSensorsSaysNothing) {
  const DeviceHealth health = ReadHealth(root());
  EXPECT_TRUE(health.temperatures.empty());
  EXPECT_TRUE(health.clocks.empty());
  EXPECT_FALSE(health.undervoltage);
  EXPECT_FALSE(health.throttled);
  const v1::NodeHealth proto = ToProto(health);
  EXPECT_EQ(proto.ByteSizeLong(), 0U);
}

TEST_F(Board, OfARaspberryPiSaysAll) {
  Write("class/thermal/thermal_zone0/type", "cpu-thermal");
  Write("class/thermal/thermal_zone0/temp", "61338");
  Write("class/hwmon/hwmon0/name", "cpu_thermal");
  Write("class/hwmon/hwmon1/name", "rpi_volt");
  Write("class/hwmon/hwmon1/in0_lcrit_alarm", "1");
  for (const char* cpu : {"cpu0", "cpu1"}) {
    Write(std::string("devices/system/cpu/") + cpu + "/cpufreq/scaling_cur_freq",
          cpu[3] == '0' ? "1800000" : "600000");
    Write(std::string("devices/system/cpu/") + cpu + "/cpufreq/cpuinfo_max_freq", "1800000");
  }
  Write("devices/system/cpu/cpufreq/boost", "0");
  Write("devices/platform/soc/soc:firmware/get_throttled", "50005");
  const DeviceHealth health = ReadHealth(root());
  ASSERT_EQ(health.temperatures.size(), 1U);
  EXPECT_EQ(health.temperatures[0].zone, "thermal_zone0");
  EXPECT_EQ(health.temperatures[0].type, "cpu-thermal");
  EXPECT_DOUBLE_EQ(health.temperatures[0].celsius, 61.338);
  ASSERT_EQ(health.clocks.size(), 2U);
  EXPECT_EQ(health.clocks[1].cpu, 1U);
  EXPECT_EQ(health.clocks[1].hertz, 600e6);
  EXPECT_EQ(health.undervoltage, true);
  EXPECT_EQ(health.throttled, 5U) << "the bits of what is now, not of what was";
  const v1::NodeHealth proto = ToProto(health);
  EXPECT_DOUBLE_EQ(proto.hottest_celsius(), 61.338);
  EXPECT_EQ(proto.slowest_hertz(), 600e6);
  EXPECT_EQ(proto.max_hertz(), 1800e6);
  EXPECT_TRUE(proto.undervoltage());
  EXPECT_EQ(proto.throttled(), 5U);
}

TEST_F(Board, TakesAProcessorSensorWhereThereIsNoZone) {
  Write("class/hwmon/hwmon0/name", "nvme");
  Write("class/hwmon/hwmon0/temp1_input", "33000");
  Write("class/hwmon/hwmon1/name", "k10temp");
  Write("class/hwmon/hwmon1/temp1_input", "45500");
  const DeviceHealth health = ReadHealth(root());
  ASSERT_EQ(health.temperatures.size(), 1U);
  EXPECT_EQ(health.temperatures[0].type, "k10temp");
  EXPECT_DOUBLE_EQ(health.temperatures[0].celsius, 45.5);
}

TEST_F(Board, LeavesOutWhatIsNoNumber) {
  Write("class/thermal/thermal_zone0/temp", "hot");
  Write("class/thermal/thermal_zone1/temp", "");
  Write("class/thermal/thermal_zone2/temp", "-5000");
  Write("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>");
  Write("devices/platform/soc/soc:firmware/get_throttled", "0xyz");
  const DeviceHealth health = ReadHealth(root());
  ASSERT_EQ(health.temperatures.size(), 1U);
  EXPECT_EQ(health.temperatures[0].zone, "thermal_zone2");
  EXPECT_EQ(health.temperatures[0].type, "unknown");
  EXPECT_EQ(health.temperatures[0].celsius, -5);
  EXPECT_TRUE(health.clocks.empty());
  EXPECT_FALSE(health.throttled);
}

TEST(HealthMonitor, OfThisMachineAnswers) { EXPECT_NO_THROW(HealthMonitor().Now()); }

}  // namespace
}  // namespace bramble::worker
