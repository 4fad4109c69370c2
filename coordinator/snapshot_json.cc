#include <nlohmann/json.hpp>

#include "coordinator/engine.h"

namespace bramble::coordinator {
namespace {

using Json = nlohmann::ordered_json;

Json MemberJson(const Member& member) {
  const v1::NodeFacts& facts = member.facts;
  Json features = Json::array();
  for (const std::string& feature : facts.features()) features.push_back(feature);
  return {{"node", member.node_id},
          {"present", member.present},
          {"address", facts.address()},
          {"version", facts.version()},
          {"architecture", facts.architecture()},
          {"cpu", facts.cpu()},
          {"features", features},
          {"threads", facts.threads()},
          {"memory_limit_bytes", facts.memory_limit_bytes()},
          {"memory_total_bytes", facts.memory_total_bytes()},
          {"memory_available_bytes", member.memory_available_bytes},
          {"read_bytes_per_second", facts.speed().read_bytes_per_second()},
          {"round_trip_seconds", member.round_trip_seconds},
          {"epoch", member.epoch}};
}

Json LoadedJson(const LoadedStage& stage) {
  return {{"node", stage.node_id},
          {"weight_bytes", stage.memory.weight_bytes()},
          {"cache_bytes", stage.memory.cache_bytes()},
          {"buffer_bytes", stage.memory.buffer_bytes()},
          {"variants", stage.variants}};
}

Json ServeJson(const ServeSnapshot& serve) {
  return {{"running", serve.running},
          {"queued", serve.queued},
          {"pages", serve.pages},
          {"pages_in_use", serve.pages_in_use},
          {"pages_cached", serve.pages_cached},
          {"steps_in_flight", serve.steps_in_flight},
          {"steps", serve.steps}};
}

}  // namespace

const char* EngineStateName(EngineState state) {
  switch (state) {
    case EngineState::kWaiting:
      return "waiting";
    case EngineState::kLoading:
      return "loading";
    case EngineState::kReady:
      return "ready";
    case EngineState::kRefused:
      return "refused";
    case EngineState::kStopping:
      break;
  }
  return "stopping";
}

std::string ClusterJson(const ClusterSnapshot& snapshot) {
  Json json;
  json["state"] = EngineStateName(snapshot.state);
  json["why"] = snapshot.why.message();
  json["model"] = snapshot.model;
  json["epoch"] = snapshot.epoch;
  json["grpc"] = snapshot.grpc_address;
  json["members"] = Json::array();
  for (const Member& member : snapshot.members) json["members"].push_back(MemberJson(member));
  json["plan"] = snapshot.plan ? Json::parse(PlanJson(*snapshot.plan)) : Json();
  json["progress"] = Json::array();
  for (const LoadProgress& progress : snapshot.progress) {
    json["progress"].push_back({{"node", progress.node_id},
                                {"bytes_done", progress.bytes_done},
                                {"bytes_total", progress.bytes_total}});
  }
  json["loaded"] = Json::array();
  for (const LoadedStage& stage : snapshot.loaded) json["loaded"].push_back(LoadedJson(stage));
  json["context_length"] = snapshot.context_length;
  json["serve"] = ServeJson(snapshot.serve);
  // What members say of themselves need not be UTF-8.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace bramble::coordinator
