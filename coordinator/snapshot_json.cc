#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/engine.h"

namespace bramble::coordinator {
namespace {

using Json = nlohmann::ordered_json;

// "Q4_K" for ENCODING_Q4_K.
constexpr std::string_view kEncodingPrefix = "ENCODING_";

Json SpeedsJson(const v1::MeasuredSpeed& speed) {
  Json speeds = Json::array();
  for (const v1::EncodingSpeed& row : speed.encodings()) {
    if (!v1::Encoding_IsValid(static_cast<int>(row.encoding()))) continue;
    const std::string& name = v1::Encoding_Name(static_cast<v1::Encoding>(row.encoding()));
    speeds.push_back({{"encoding", name.substr(kEncodingPrefix.size())},
                      {"decode_bytes_per_second", row.decode_bytes_per_second()},
                      {"prefill_operations_per_second", row.prefill_operations_per_second()}});
  }
  return speeds;
}

Member MemberOf(const Json& json) {
  Member member;
  member.node_id = json.value("node", "");
  member.present = json.value("present", false);
  member.round_trip_seconds = json.value("round_trip_seconds", 0.0);
  v1::NodeFacts& facts = member.facts;
  facts.set_version(json.value("version", ""));
  facts.set_memory_limit_bytes(json.value("memory_limit_bytes", std::uint64_t{0}));
  for (const Json& operation : json.at("operations")) facts.add_operations(operation);
  facts.mutable_speed()->set_read_bytes_per_second(json.value("read_bytes_per_second", 0.0));
  for (const Json& speed : json.at("speeds")) {
    std::string name(kEncodingPrefix);
    name.append(speed.value("encoding", ""));
    v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
    if (!v1::Encoding_Parse(name, &encoding)) continue;  // of a newer version
    v1::EncodingSpeed* row = facts.mutable_speed()->add_encodings();
    row->set_encoding(encoding);
    row->set_decode_bytes_per_second(speed.value("decode_bytes_per_second", 0.0));
    row->set_prefill_operations_per_second(speed.value("prefill_operations_per_second", 0.0));
  }
  return member;
}

constexpr std::array<std::pair<std::uint32_t, const char*>, 4> kThrottled = {
    {{1, "undervoltage"}, {2, "frequency_capped"}, {4, "throttled"}, {8, "soft_temp_limit"}}};

// What a board has no sensor for is missing.
Json HealthJson(const v1::NodeHealth& health) {
  Json json = Json::object();
  if (health.has_hottest_celsius()) json["hottest_celsius"] = health.hottest_celsius();
  if (health.has_undervoltage()) json["undervoltage"] = health.undervoltage();
  if (health.has_throttled()) {
    json["throttled"] = Json::array();
    for (const auto& [bit, name] : kThrottled) {
      if ((health.throttled() & bit) != 0) json["throttled"].push_back(name);
    }
  }
  if (health.has_slowest_hertz()) json["slowest_hertz"] = health.slowest_hertz();
  if (health.max_hertz() > 0) json["max_hertz"] = health.max_hertz();
  return json;
}

Json MemberJson(const Member& member) {
  const v1::NodeFacts& facts = member.facts;
  Json features = Json::array();
  for (const std::string& feature : facts.features()) features.push_back(feature);
  Json operations = Json::array();
  for (const std::string& operation : facts.operations()) operations.push_back(operation);
  return {{"node", member.node_id},
          {"present", member.present},
          {"address", facts.address()},
          {"version", facts.version()},
          {"architecture", facts.architecture()},
          {"cpu", facts.cpu()},
          {"features", features},
          {"operations", operations},
          {"threads", facts.threads()},
          {"memory_limit_bytes", facts.memory_limit_bytes()},
          {"memory_total_bytes", facts.memory_total_bytes()},
          {"memory_available_bytes", member.memory_available_bytes},
          {"read_bytes_per_second", facts.speed().read_bytes_per_second()},
          {"speeds", SpeedsJson(facts.speed())},
          {"round_trip_seconds", member.round_trip_seconds},
          {"epoch", member.epoch},
          {"metrics", facts.metrics_address()},
          {"health", HealthJson(member.health)}};
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

std::string TargetsJson(const std::vector<Member>& members) {
  Json list = Json::array();
  for (const Member& member : members) {
    const v1::NodeFacts& facts = member.facts;
    if (facts.metrics_address().empty()) continue;
    list.push_back({{"targets", {facts.metrics_address()}},
                    {"labels",
                     {{"__scheme__", facts.metrics_tls() ? "https" : "http"},
                      {"__meta_bramble_role", "worker"},
                      {"__meta_bramble_node", member.node_id},
                      {"__meta_bramble_arch", facts.architecture()},
                      {"__meta_bramble_version", facts.version()}}}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
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

Result<std::vector<Member>> MembersOf(const std::string& cluster_json) {
  std::vector<Member> members;
  try {
    const Json cluster = Json::parse(cluster_json);
    for (const Json& member : cluster.at("members")) members.push_back(MemberOf(member));
  } catch (const Json::exception& error) {
    return Invalid("what the coordinator says of its members can't be read: ", error.what());
  }
  return members;
}

}  // namespace bramble::coordinator
