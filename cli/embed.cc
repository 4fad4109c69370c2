// bramble embed: a vector for each text.
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/collect.h"
#include "cli/local_cluster.h"
#include "cli/numbers.h"
#include "cli/report.h"
#include "cli/verbs.h"
#include "common/sha256.h"
#include "model/text/tokenizer.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> TextsFrom(const Settings& settings) {
  std::vector<std::string> texts = settings.Texts("text");
  if (!texts.empty() || isatty(STDIN_FILENO) == 1) return texts;
  std::string line;
  while (std::getline(std::cin, line)) texts.push_back(line);
  return texts;
}

// The shortest text that is this float, and no other.
std::string NumberText(float value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string VectorText(const std::vector<float>& values) {
  std::string text = "[";
  for (const float value : values) {
    if (text.size() > 1) text += ", ";
    text += NumberText(value);
  }
  return text + "]";
}

struct Embedding {
  std::uint32_t tokens = 0;
  std::string values;  // little-endian f32
};

Result<Embedding> Embed(LocalCluster& cluster, const std::string& text) {
  const model::text::Tokenizer* tokenizer = cluster.model().tokenizer();
  if (tokenizer == nullptr) return Failed("the model has no tokenizer, so it cannot read texts");
  coordinator::GenerateRequest request;
  ASSIGN_OR_RETURN(request.prompt_ids,
                   tokenizer->EncodePrompt(text, model::text::Specials::kAsText));
  request.request_id = "embed";
  ASSIGN_OR_RETURN(const Generation generation,
                   Generate(cluster.engine().generator(), std::move(request)));
  for (const coordinator::SequenceOutput& output : generation.sequence) {
    if (output.kind == v1::RESULT_KIND_EMBEDDING) {
      return Embedding{generation.end.prompt_tokens, output.values};
    }
  }
  return Failed("the model gives no embeddings: it writes text");
}

void PrintJson(const std::string& text, const Embedding& embedding) {
  Json json{{"text", text},
            {"tokens", embedding.tokens},
            {"sha256", Hex(Sha256Of(embedding.values))},
            {"embedding", FloatsFrom(embedding.values)}};
  std::printf("%s\n", json.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
}

}  // namespace

int RunEmbed(const Settings& settings) {
  const std::vector<std::string> texts = TextsFrom(settings);
  if (texts.empty()) {
    std::fputs("bramble embed: there is no text; write it behind the model, or pipe it in\n",
               stderr);
    return 2;
  }
  const auto options = LocalClusterFrom(settings);
  if (!options.ok()) return Fail(options.status());
  const auto cluster = LocalCluster::Start(*options, SayProgress);
  if (!cluster.ok()) return Fail(cluster.status());
  EndProgress();
  for (const std::string& text : texts) {
    const auto embedding = Embed(**cluster, text);
    if (!embedding.ok()) return Fail(embedding.status());
    if (settings.Switch("json")) {
      PrintJson(text, *embedding);
    } else {
      std::printf("%s\n", VectorText(FloatsFrom(embedding->values)).c_str());
    }
  }
  return 0;
}

}  // namespace bramble::cli
