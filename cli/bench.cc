// bramble bench: how fast a model runs, on worker processes of this machine.
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/collect.h"
#include "cli/local_cluster.h"
#include "cli/numbers.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

struct Measurement {
  double prefill_tokens_per_second = 0;
  double decode_tokens_per_second = 0;
};

// Ids that differ between runs, so that no run finds another's pages.
std::vector<std::uint32_t> PromptOf(std::uint32_t length, std::uint32_t vocabulary,
                                    std::uint32_t run) {
  std::vector<std::uint32_t> ids(length);
  for (std::uint32_t i = 0; i < length; ++i) ids[i] = (i * 7919 + run * 104729 + 11) % vocabulary;
  return ids;
}

Result<Measurement> MeasureOnce(coordinator::Generator& generator,
                                std::vector<std::uint32_t> prompt, std::uint32_t tokens) {
  coordinator::GenerateRequest request;
  const auto prompt_tokens = static_cast<double>(prompt.size());
  request.prompt_ids = std::move(prompt);
  request.max_tokens = tokens;
  request.sampling = GreedySampling();
  request.request_id = "bench";
  ASSIGN_OR_RETURN(const Generation generation, Generate(generator, std::move(request)));
  const coordinator::GenerationEnd& end = generation.end;
  Measurement measurement;
  measurement.prefill_tokens_per_second =
      prompt_tokens / (end.seconds_to_first_token - end.seconds_queued);
  measurement.decode_tokens_per_second =
      (end.generated_tokens - 1) / (end.seconds_total - end.seconds_to_first_token);
  return measurement;
}

Result<nlohmann::ordered_json> Measure(const Settings& settings) {
  ASSIGN_OR_RETURN(const LocalClusterOptions options, LocalClusterFrom(settings));
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalCluster> cluster,
                   LocalCluster::Start(options, SayProgress));
  const auto repeat = static_cast<std::uint32_t>(settings.Integer("repeat"));
  const auto prompt = static_cast<std::uint32_t>(settings.Integer("prompt-tokens"));
  const auto tokens = static_cast<std::uint32_t>(settings.Integer("tokens"));
  std::vector<double> prefill;
  std::vector<double> decode;
  for (std::uint32_t run = 0; run <= repeat; ++run) {  // the first one warms up
    SayProgress("run " + std::to_string(run) + " of " + std::to_string(repeat));
    ASSIGN_OR_RETURN(
        const Measurement measured,
        MeasureOnce(cluster->engine().generator(),
                    PromptOf(prompt, cluster->model().program().vocabulary_size(), run), tokens));
    if (run == 0) continue;
    prefill.push_back(measured.prefill_tokens_per_second);
    decode.push_back(measured.decode_tokens_per_second);
  }
  EndProgress();
  const auto snapshot = cluster->engine().snapshot();
  nlohmann::ordered_json report{{"model", options.model_path},
                                {"workers", options.workers},
                                {"threads", options.threads},
                                {"prompt_tokens", prompt},
                                {"tokens", tokens},
                                {"repeat", repeat},
                                {"prefill_tokens_per_second", Median(prefill)},
                                {"decode_tokens_per_second", Median(decode)},
                                {"prefill_runs", prefill},
                                {"decode_runs", decode}};
  nlohmann::ordered_json& nodes = report["nodes"] = nlohmann::ordered_json::array();
  for (const coordinator::Member& member : snapshot.members) {
    nodes.push_back({{"node", member.node_id},
                     {"read_bytes_per_second", member.facts.speed().read_bytes_per_second()}});
  }
  return report;
}

}  // namespace

int RunBench(const Settings& settings) {
  const auto report = Measure(settings);
  if (!report.ok()) return Fail(report.status());
  if (settings.Switch("json")) {
    std::printf("%s\n", report->dump().c_str());
    return 0;
  }
  Table table({"", "TOKENS", "TOKENS A SECOND (MEDIAN)"});
  table.AddRow({"prefill", std::to_string((*report)["prompt_tokens"].get<int>()),
                Fixed((*report)["prefill_tokens_per_second"].get<double>(), 1)});
  table.AddRow({"decode", std::to_string((*report)["tokens"].get<int>()),
                Fixed((*report)["decode_tokens_per_second"].get<double>(), 1)});
  std::fputs(table.Text().c_str(), stdout);
  return 0;
}

}  // namespace bramble::cli
