#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "coordinator/cluster/attend.h"
#include "coordinator/engine.h"

namespace bramble::coordinator {
namespace {

TEST(Targets, AreTheMembersThatServeMetrics) {
  std::vector<Member> members(3);
  members[0].node_id = "pi-1";
  members[0].facts.set_metrics_address("10.0.0.1:9478");
  members[0].facts.set_metrics_tls(true);
  members[0].facts.set_architecture("aarch64");
  members[0].facts.set_version("1.2");
  members[1].node_id = "silent";
  members[2].node_id = "local";
  members[2].facts.set_metrics_address("127.0.0.1:9000");
  members[2].facts.set_version("\xff");
  const auto list = nlohmann::json::parse(TargetsJson(members));
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[0]["targets"], nlohmann::json::array({"10.0.0.1:9478"}));
  EXPECT_EQ(list[0]["labels"]["__scheme__"], "https");
  EXPECT_EQ(list[0]["labels"]["__meta_bramble_node"], "pi-1");
  EXPECT_EQ(list[0]["labels"]["__meta_bramble_arch"], "aarch64");
  EXPECT_EQ(list[0]["labels"]["__meta_bramble_role"], "worker");
  EXPECT_EQ(list[1]["labels"]["__scheme__"], "http");
  EXPECT_EQ(TargetsJson({}), "[]") << "as Prometheus wants an empty list";
}

TEST(Health, KeepsOnlyWhatABoardCanMean) {
  v1::NodeHealth health;
  health.set_hottest_celsius(std::nan(""));
  health.set_slowest_hertz(INFINITY);
  health.set_throttled(0xFFFFFFFF);
  health.set_undervoltage(false);
  const v1::NodeHealth sound = SoundHealth(health);
  EXPECT_FALSE(sound.has_hottest_celsius());
  EXPECT_FALSE(sound.has_slowest_hertz());
  EXPECT_EQ(sound.throttled(), 0xFU);
  EXPECT_TRUE(sound.has_undervoltage());
}

TEST(Health, AMetricsAddressMustBeOne) {
  v1::NodeFacts facts;
  facts.set_address("pi:1");
  facts.set_memory_limit_bytes(1);
  EXPECT_TRUE(CheckFacts(facts).ok());
  facts.set_metrics_address("pi-1:9478\n");
  EXPECT_EQ(CheckFacts(facts).code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace bramble::coordinator
