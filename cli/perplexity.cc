// bramble perplexity: how well a model predicts a text.
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/collect.h"
#include "cli/local_cluster.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "common/files.h"
#include "model/text/tokenizer.h"

namespace bramble::cli {
namespace {

constexpr std::size_t kTextBytes = std::size_t{64} << 20;
constexpr std::uint32_t kScoredRows = 64;  // rows of a step that are scored

struct Score {
  double negative_log_likelihood = 0;
  std::size_t terms = 0;
};

// One window, run alone from position 0. Positions from `first_scored` on each predict the next id.
Status ScoreWindow(coordinator::Generator& generator, std::vector<std::uint32_t> ids,
                   std::size_t first_scored, Score& score) {
  coordinator::GenerateRequest request;
  request.prompt_ids = std::move(ids);
  request.prompt_logprobs = true;
  request.sampling = GreedySampling();
  request.request_id = "perplexity";
  ASSIGN_OR_RETURN(const Generation generation, Generate(generator, std::move(request)));
  for (const coordinator::PromptOutput& output : generation.prompt) {
    if (output.position < first_scored || !output.next_logprob.has_value()) continue;
    score.negative_log_likelihood -= *output.next_logprob;
    ++score.terms;
  }
  return {};
}

// Chunks of `chunk` ids from the start, the rest is dropped; a model that begins texts with a token
// has it in place of the first id of each chunk. The second half of a chunk is scored. chunk 0: one
// window, every position scored.
Result<Score> ScoreText(coordinator::Generator& generator, const std::vector<std::uint32_t>& ids,
                        std::size_t chunk, std::optional<std::uint32_t> begin) {
  Score score;
  if (chunk == 0) {
    std::vector<std::uint32_t> window = ids;
    if (begin) window.insert(window.begin(), *begin);
    RETURN_IF_ERROR(ScoreWindow(generator, std::move(window), 0, score));
    return score;
  }
  const std::size_t chunks = ids.size() / chunk;
  if (chunks == 0)
    return Invalid("the text has ", ids.size(), " ids, fewer than one chunk of ", chunk);
  for (std::size_t c = 0; c < chunks; ++c) {
    SayProgress("chunk " + std::to_string(c + 1) + " of " + std::to_string(chunks));
    const auto from = ids.begin() + static_cast<std::ptrdiff_t>(c * chunk);
    std::vector<std::uint32_t> window(from, from + static_cast<std::ptrdiff_t>(chunk));
    if (begin) window.front() = *begin;
    RETURN_IF_ERROR(ScoreWindow(generator, std::move(window), chunk / 2, score));
  }
  return score;
}

Result<Score> MeasurePerplexity(const Settings& settings) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(settings.Text("file"), kTextBytes));
  ASSIGN_OR_RETURN(LocalClusterOptions options, LocalClusterFrom(settings));
  options.max_outputs = kScoredRows;
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalCluster> cluster,
                   LocalCluster::Start(options, SayProgress));
  const model::text::Tokenizer* tokenizer = cluster->model().tokenizer();
  if (tokenizer == nullptr) return Failed("the model has no tokenizer");
  ASSIGN_OR_RETURN(const std::vector<std::uint32_t> ids,
                   tokenizer->Encode(text, model::text::Specials::kAsText));
  ASSIGN_OR_RETURN(const std::vector<std::uint32_t> empty,
                   tokenizer->EncodePrompt("", model::text::Specials::kAsText));
  // What the model puts in front of a text, if anything.
  const std::optional<std::uint32_t> begin =
      empty.empty() ? std::nullopt : std::optional(empty.front());
  return ScoreText(cluster->engine().generator(), ids,
                   static_cast<std::size_t>(settings.Integer("chunk")), begin);
}

}  // namespace

int RunPerplexity(const Settings& settings) {
  const auto score = MeasurePerplexity(settings);
  if (!score.ok()) return Fail(score.status());
  EndProgress();
  const double perplexity =
      std::exp(score->negative_log_likelihood / static_cast<double>(score->terms));
  if (settings.Switch("json")) {
    const nlohmann::ordered_json report{
        {"perplexity", perplexity}, {"terms", score->terms}, {"chunk", settings.Integer("chunk")}};
    std::printf("%s\n", report.dump().c_str());
  } else {
    std::printf("perplexity %s over %zu predictions\n", Fixed(perplexity, 4).c_str(), score->terms);
  }
  return 0;
}

}  // namespace bramble::cli
