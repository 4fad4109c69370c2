// bramble nodes and models: what a running cluster says of itself.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster_address.h"
#include "cli/model_store.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string BytesOf(const Json& object, const char* key) {
  return HumanBytes(object.value(key, std::uint64_t{0}));
}

// Which stage a node holds: "layer.0 .. layer.9", or "-".
std::string HeldBy(const Json& plan, const std::string& node) {
  if (!plan.is_object()) return "-";
  for (const Json& stage : plan["stages"]) {
    if (stage.value("node", "") != node) continue;
    return stage.value("first_name", "") + " .. " + stage.value("last_name", "");
  }
  return "-";
}

// "52 C", "71 C under-voltage throttled", "-" where the board has no sensors.
std::string HealthOf(const Json& member) {
  const Json health = member.value("health", Json::object());
  std::string text;
  const auto add = [&](const std::string& word) { text += (text.empty() ? "" : " ") + word; };
  if (health.contains("hottest_celsius"))
    add(Fixed(health.value("hottest_celsius", 0.0), 0) + " C");
  if (health.value("undervoltage", false)) add("under-voltage");
  for (const Json& reason : health.value("throttled", Json::array())) {
    const std::string name = reason.is_string() ? reason.get<std::string>() : "";
    if (name != "undervoltage") add(name);
  }
  return text.empty() ? "-" : text;
}

void PrintNodes(const Json& cluster) {
  Table table(
      {"NODE", "STATE", "ADDRESS", "MEMORY", "THREADS", "READS", "ROUND TRIP", "HEALTH", "HOLDS"});
  for (const Json& member : cluster["members"]) {
    const std::string node = member.value("node", "");
    table.AddRow({node, member.value("present", false) ? "here" : "lost",
                  member.value("address", ""), BytesOf(member, "memory_limit_bytes"),
                  std::to_string(member.value("threads", 0)),
                  Fixed(member.value("read_bytes_per_second", 0.0) / 1e9, 1) + " GB/s",
                  HumanSeconds(member.value("round_trip_seconds", 0.0)), HealthOf(member),
                  HeldBy(cluster["plan"], node)});
  }
  std::fputs(table.Text().c_str(), stdout);
}

}  // namespace

int RunNodes(const Settings& settings) {
  const auto cluster = AskCluster(settings, "/bramble/v1/cluster");
  if (!cluster.ok()) return Fail(cluster.status());
  if (settings.Switch("json")) {
    std::printf("%s\n", (*cluster)["members"].dump().c_str());
  } else {
    PrintNodes(*cluster);
  }
  return 0;
}

int RunModels(const Settings& settings) {
  const auto models = ModelStore(ModelStore::DefaultFolder()).List();
  if (!models.ok()) return Fail(models.status());
  Json list = Json::array();
  Table table({"NAME", "SIZE", "SOURCE", "PATH"});
  for (const StoredModel& model : *models) {
    list.push_back({{"name", model.name},
                    {"source", model.source},
                    {"path", model.path},
                    {"bytes", model.bytes}});
    table.AddRow({model.name, HumanBytes(model.bytes), model.source, model.path});
  }
  if (settings.Has("url")) {
    const auto served = AskCluster(settings, "/v1/models");
    if (!served.ok()) return Fail(served.status());
    for (const Json& model : (*served)["data"]) {
      const std::string name = model.value("id", "");
      const std::string url = ClusterAddress(settings).url;
      list.push_back({{"name", name}, {"source", url}, {"path", nullptr}, {"bytes", nullptr}});
      table.AddRow({name, "-", url, "-"});
    }
  }
  std::fputs(settings.Switch("json") ? (list.dump() + "\n").c_str() : table.Text().c_str(), stdout);
  return 0;
}

}  // namespace bramble::cli
