// bramble eval: the numbers that a model gives, for whoever wants to check them.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/collect.h"
#include "cli/local_cluster.h"
#include "cli/numbers.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "common/sha256.h"
#include "model/text/tokenizer.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint32_t kEvalOutputs = 32;  // rows of a step that may ask for all logits

Result<std::vector<std::uint32_t>> PromptIds(const Settings& settings, const model::Model& model) {
  if (settings.Has("ids") == settings.Has("prompt"))
    return Invalid("give either --ids 1,2,3 or --prompt TEXT");
  if (settings.Has("ids")) {
    ASSIGN_OR_RETURN(std::vector<std::uint32_t> ids, ParseIds(settings.Text("ids"), "--ids"));
    if (ids.empty()) return Invalid("--ids: at least one id is needed");
    return ids;
  }
  if (model.tokenizer() == nullptr) return Failed("the model has no tokenizer; give --ids 1,2,3");
  return model.tokenizer()->EncodePrompt(settings.Text("prompt"), model::text::Specials::kParse);
}

// The ids of a setting that may be missing.
Result<std::vector<std::uint32_t>> IdsOr(const Settings& settings, const char* name,
                                         std::vector<std::uint32_t> missing) {
  if (!settings.Has(name)) return missing;
  ASSIGN_OR_RETURN(std::vector<std::uint32_t> ids,
                   ParseIds(settings.Text(name), std::string("--") + name));
  if (ids.empty()) return Invalid("--", name, ": at least one id is needed");
  return ids;
}

// What is asked of the model: a prompt, and of one with an encoder its source.
Result<coordinator::GenerateRequest> RequestFrom(const Settings& settings,
                                                 const model::Model& model) {
  coordinator::GenerateRequest request;
  ASSIGN_OR_RETURN(request.prompt_ids, PromptIds(settings, model));
  if (model.program().has_start_id()) {
    request.source_ids = std::move(request.prompt_ids);
    ASSIGN_OR_RETURN(request.prompt_ids,
                     IdsOr(settings, "decoder-ids", {model.program().start_id()}));
  } else if (settings.Has("decoder-ids")) {
    return Invalid("--decoder-ids: the model has no encoder");
  }
  ASSIGN_OR_RETURN(request.types, IdsOr(settings, "types", {}));
  request.max_tokens = static_cast<std::uint32_t>(settings.Integer("greedy"));
  request.logits_of_tokens = true;
  request.sampling = GreedySampling();
  request.request_id = "eval";
  return request;
}

// Which prompt positions are reported: "last", "all" or "0,5,7".
Result<std::vector<std::uint32_t>> Positions(const std::string& text, std::size_t prompt) {
  const auto last = static_cast<std::uint32_t>(prompt - 1);
  if (text == "last") return std::vector<std::uint32_t>{last};
  std::vector<std::uint32_t> positions;
  if (text == "all") {
    for (std::uint32_t i = 0; i <= last; ++i) positions.push_back(i);
    return positions;
  }
  ASSIGN_OR_RETURN(positions, ParseIds(text, "--positions"));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (positions[i] > last)
      return Invalid("--positions: ", positions[i], " is not below the prompt's ", prompt, " ids");
    if (i > 0 && positions[i] <= positions[i - 1]) return Invalid("--positions must rise");
  }
  return positions;
}

std::string HashOf(const std::string& bytes) { return Hex(Sha256Of(bytes)); }

Json PositionJson(const coordinator::PromptOutput& output, std::size_t top, bool all) {
  const std::vector<float> logits = FloatsFrom(output.logits);
  Json json;
  json["position"] = output.position;
  json["std"] = StandardDeviation(logits);
  Json& list = json["top"] = Json::array();
  for (const IndexedLogit& entry : Largest(logits, top)) list.push_back({entry.id, entry.logit});
  if (all) json["logits"] = logits;
  json["sha256"] = HashOf(output.logits);
  return json;
}

Json GreedyJson(const std::vector<coordinator::GeneratedToken>& tokens) {
  Json json{{"ids", Json::array()}, {"margins", Json::array()}};
  for (const coordinator::GeneratedToken& token : tokens) {
    const std::vector<IndexedLogit> top = Largest(FloatsFrom(token.logits), 2);
    json["ids"].push_back(token.id);
    json["margins"].push_back(top.size() < 2 ? 0.0
                                             : static_cast<double>(top[0].logit) - top[1].logit);
  }
  return json;
}

void PrintForPeople(const Json& report, const model::text::Tokenizer* tokenizer) {
  for (const Json& position : report["positions"]) {
    std::printf("position %u  std %s  sha256 %s\n", position["position"].get<unsigned>(),
                Fixed(position["std"].get<double>(), 4).c_str(),
                position["sha256"].get<std::string>().c_str());
    Table table({"ID", "LOGIT", "TOKEN"});
    for (const Json& entry : position["top"]) {
      const auto id = entry[0].get<std::uint32_t>();
      table.AddRow({std::to_string(id), Fixed(entry[1].get<double>(), 4),
                    tokenizer == nullptr ? "" : std::string(tokenizer->Spelling(id))});
    }
    std::fputs(table.Text().c_str(), stdout);
  }
  if (report.contains("sequence")) {
    for (const auto& [name, result] : report["sequence"].items()) {
      std::printf("%s: %zu numbers, sha256 %s\n", name.c_str(), result["values"].size(),
                  result["sha256"].get<std::string>().c_str());
    }
  }
  if (report["greedy"]["ids"].empty()) return;
  std::printf("greedy %s\n", report["greedy"]["ids"].dump().c_str());
  if (tokenizer != nullptr) {
    const auto ids = report["greedy"]["ids"].get<std::vector<std::uint32_t>>();
    std::printf("text   %s\n", Json(tokenizer->Decode(ids)).dump().c_str());
  }
}

const char* ResultName(v1::ResultKind kind) {
  switch (kind) {
    case v1::RESULT_KIND_EMBEDDING:
      return "embedding";
    case v1::RESULT_KIND_HEAD:
      return "head";
    default:
      return "values";
  }
}

// What the model makes of the whole prompt: an encoder's vectors.
Json SequenceJson(const std::vector<coordinator::SequenceOutput>& outputs) {
  Json json = Json::object();
  for (const coordinator::SequenceOutput& output : outputs) {
    json[ResultName(output.kind)] = {{"values", FloatsFrom(output.values)},
                                     {"sha256", HashOf(output.values)}};
  }
  return json;
}

Result<Json> Evaluate(const Settings& settings, LocalCluster& cluster,
                      coordinator::GenerateRequest request) {
  Json report;
  if (!request.source_ids.empty()) report["source_ids"] = request.source_ids;
  report["prompt_ids"] = request.prompt_ids;
  ASSIGN_OR_RETURN(const Generation generation,
                   Generate(cluster.engine().generator(), std::move(request)));
  Json& list = report["positions"] = Json::array();
  for (const coordinator::PromptOutput& output : generation.prompt) {
    list.push_back(PositionJson(output, static_cast<std::size_t>(settings.Integer("top")),
                                settings.Switch("all")));
  }
  report["greedy"] = GreedyJson(generation.tokens);
  if (!generation.sequence.empty()) report["sequence"] = SequenceJson(generation.sequence);
  report["plan"] = Json::parse(coordinator::ClusterJson(cluster.engine().snapshot()))["plan"];
  return report;
}

}  // namespace

int RunEval(const Settings& settings) {
  auto options = LocalClusterFrom(settings);
  if (!options.ok()) return Fail(options.status());
  options->max_outputs = kEvalOutputs;
  auto cluster = LocalCluster::Start(*options, SayProgress);
  if (!cluster.ok()) return Fail(cluster.status());
  EndProgress();
  auto request = RequestFrom(settings, (*cluster)->model());
  if (!request.ok()) return Fail(request.status());
  auto positions = Positions(settings.Text("positions"), request->prompt_ids.size());
  if (!positions.ok()) return Fail(positions.status());
  request->logits_at = *std::move(positions);
  const auto report = Evaluate(settings, **cluster, *std::move(request));
  if (!report.ok()) return Fail(report.status());
  if (settings.Switch("json")) {
    std::cout << report->dump() << '\n';
  } else {
    PrintForPeople(*report, (*cluster)->model().tokenizer());
  }
  return 0;
}

}  // namespace bramble::cli
