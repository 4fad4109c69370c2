// bramble plan: how the running cluster shares its model, or how one that is not served would be.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cli/cluster_address.h"
#include "cli/model_store.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "coordinator/devices.h"
#include "coordinator/engine.h"
#include "coordinator/plan/summary.h"
#include "model/model.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kNotReady = 3;

std::string BytesOf(const Json& object, const char* key) {
  return HumanBytes(object.value(key, std::uint64_t{0}));
}

// A stage whose worker's speed nobody knows has no expected time.
std::string Expected(const Json& stage) {
  const double seconds = stage.value("row_seconds", 0.0);
  return seconds > 0 ? HumanSeconds(seconds) + " a token" : "-";
}

// "7", or "14 shared" by slices.
std::string BlocksOf(const Json& stage) {
  const std::string blocks = std::to_string(stage.value("blocks", 0));
  return stage.value("members", 1) > 1 ? blocks + " shared" : blocks;
}

void PrintPlan(const Json& plan) {
  Table table({"NODE", "BLOCKS", "FIRST", "LAST", "WEIGHTS", "CACHE", "BUFFERS", "NEEDS", "LIMIT",
               "EXPECTED"});
  for (const Json& stage : plan["stages"]) {
    table.AddRow({stage.value("node", ""), BlocksOf(stage), stage.value("first_name", ""),
                  stage.value("last_name", ""), BytesOf(stage, "weight_bytes"),
                  BytesOf(stage, "cache_bytes"), BytesOf(stage, "buffer_bytes"),
                  BytesOf(stage, "needed_bytes"), BytesOf(stage, "memory_limit_bytes"),
                  Expected(stage)});
  }
  std::fputs(table.Text().c_str(), stdout);
  for (const Json& reason : plan.value("reasons", Json::array())) {
    std::printf("  %s\n", reason.get<std::string>().c_str());
  }
}

int ShowRunningPlan(const Settings& settings) {
  const auto cluster = AskCluster(settings, "/bramble/v1/cluster");
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

// Workers that are only thought of: equal, of unknown speed.
std::vector<coordinator::Device> ImaginedDevices(const Settings& settings) {
  std::vector<coordinator::Device> devices(
      static_cast<std::size_t>(settings.Has("workers") ? settings.Integer("workers") : 1));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    devices[i].node_id.append("worker-").append(std::to_string(i + 1));
    devices[i].memory_limit_bytes = settings.Size("memory");
  }
  return devices;
}

Result<std::vector<coordinator::Device>> ClusterDevices(const Settings& settings,
                                                        const v1::Program& program) {
  ASSIGN_OR_RETURN(const Json cluster, AskCluster(settings, "/bramble/v1/cluster"));
  ASSIGN_OR_RETURN(const auto members, coordinator::MembersOf(cluster.dump()));
  std::vector<coordinator::Device> devices = coordinator::UsableDevices(members, program);
  if (devices.empty()) {
    std::string text = "the cluster has no worker that can run this model";
    for (const std::string& line : coordinator::UnusableMembers(members, program)) {
      text.append("\n  ").append(line);
    }
    return Unavailable(text);
  }
  return devices;
}

Result<coordinator::Plan> PlanModel(const Settings& settings) {
  ASSIGN_OR_RETURN(const std::string path,
                   ModelStore(ModelStore::DefaultFolder()).Locate(settings.Text("model")));
  ASSIGN_OR_RETURN(const auto objective, coordinator::ParseObjective(settings.Text("optimize")));
  ASSIGN_OR_RETURN(const auto sharding, coordinator::ParseSharding(settings.Text("sharding")));
  ASSIGN_OR_RETURN(const auto model, model::Model::Open(path, {}));
  std::vector<coordinator::Device> devices;
  if (settings.Has("memory")) {
    devices = ImaginedDevices(settings);
  } else {
    ASSIGN_OR_RETURN(devices, ClusterDevices(settings, model->program()));
  }
  coordinator::PlanLimits limits;
  limits.context = static_cast<std::uint32_t>(settings.Integer("context"));
  return coordinator::PlanProgram(model->program(), devices, limits, objective, sharding);
}

}  // namespace

int RunPlan(const Settings& settings) {
  if (!settings.Has("model")) {
    for (const char* name : {"workers", "memory"}) {
      if (settings.Has(name)) return Fail(Invalid("--", name, " needs a MODEL to plan for"));
    }
    return ShowRunningPlan(settings);
  }
  if (settings.Has("workers") && !settings.Has("memory"))
    return Fail(Invalid("--workers needs --memory: how much each of them may use"));
  const auto plan = PlanModel(settings);
  if (!plan.ok()) return Fail(plan.status());
  const std::string json = coordinator::PlanJson(*plan);
  if (settings.Switch("json")) {
    std::printf("%s\n", json.c_str());
  } else {
    PrintPlan(Json::parse(json));
  }
  return 0;
}

}  // namespace bramble::cli
