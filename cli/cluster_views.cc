// bramble nodes, plan, models: what a running cluster says of itself.
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

constexpr int kNotReady = 3;

Result<Json> GetJson(const Settings& settings, const std::string& path) {
  const HttpServerAddress address = ClusterAddress(settings);
  ASSIGN_OR_RETURN(const HttpReply reply, HttpClient(address).Get(path));
  Json json = Json::parse(reply.body, nullptr, false);
  if (reply.status == 401)
    return Denied(address.url, " wants an API key: --api-key-file FILE or BRAMBLE_API_KEY");
  if (reply.status != 200 || !json.is_object())
    return Failed(address.url, path, " answered with HTTP status ", reply.status);
  return json;
}

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

void PrintNodes(const Json& cluster) {
  Table table({"NODE", "STATE", "ADDRESS", "MEMORY", "THREADS", "READS", "ROUND TRIP", "HOLDS"});
  for (const Json& member : cluster["members"]) {
    const std::string node = member.value("node", "");
    table.AddRow(
        {node, member.value("present", false) ? "here" : "lost", member.value("address", ""),
         BytesOf(member, "memory_limit_bytes"), std::to_string(member.value("threads", 0)),
         Fixed(member.value("read_bytes_per_second", 0.0) / 1e9, 1) + " GB/s",
         HumanSeconds(member.value("round_trip_seconds", 0.0)), HeldBy(cluster["plan"], node)});
  }
  std::fputs(table.Text().c_str(), stdout);
}

void PrintPlan(const Json& plan) {
  Table table({"NODE", "BLOCKS", "FIRST", "LAST", "WEIGHTS", "CACHE", "BUFFERS", "NEEDS", "LIMIT",
               "EXPECTED"});
  for (const Json& stage : plan["stages"]) {
    table.AddRow({stage.value("node", ""), std::to_string(stage.value("blocks", 0)),
                  stage.value("first_name", ""), stage.value("last_name", ""),
                  BytesOf(stage, "weight_bytes"), BytesOf(stage, "cache_bytes"),
                  BytesOf(stage, "buffer_bytes"), BytesOf(stage, "needed_bytes"),
                  BytesOf(stage, "memory_limit_bytes"),
                  HumanSeconds(stage.value("row_seconds", 0.0)) + " a token"});
  }
  std::fputs(table.Text().c_str(), stdout);
  for (const Json& reason : plan.value("reasons", Json::array())) {
    std::printf("  %s\n", reason.get<std::string>().c_str());
  }
}

}  // namespace

int RunNodes(const Settings& settings) {
  const auto cluster = GetJson(settings, "/bramble/v1/cluster");
  if (!cluster.ok()) return Fail(cluster.status());
  if (settings.Switch("json")) {
    std::printf("%s\n", (*cluster)["members"].dump().c_str());
  } else {
    PrintNodes(*cluster);
  }
  return 0;
}

int RunPlan(const Settings& settings) {
  const auto cluster = GetJson(settings, "/bramble/v1/cluster");
  if (!cluster.ok()) return Fail(cluster.status());
  const Json& plan = (*cluster)["plan"];
  if (settings.Switch("json")) {
    std::printf("%s\n", plan.dump().c_str());
  } else if (plan.is_object()) {
    std::printf("%s: %s\n", cluster->value("model", "").c_str(),
                cluster->value("state", "").c_str());
    PrintPlan(plan);
  }
  if (plan.is_object()) return 0;
  std::fprintf(stderr, "bramble: no plan yet: %s\n", cluster->value("why", "").c_str());
  return kNotReady;
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
    const auto served = GetJson(settings, "/v1/models");
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
