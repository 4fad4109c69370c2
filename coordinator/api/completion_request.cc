#include "coordinator/api/completion_request.h"

#include <nlohmann/json.hpp>

#include "coordinator/api/joined.h"
#include "model/text/tokenizer.h"

namespace bramble::coordinator {
namespace {

constexpr std::uint32_t kDefaultMaxTokens = 16;

void ReadTextPrompt(Fields& fields, const std::string& text, const ServedModel& model,
                    CompletionRequest& out) {
  if (model.tokenizer == nullptr) {
    return fields.Fail("prompt", "the model '" + model.name + "' has no tokenizer that can be used",
                       "not_supported");
  }
  auto ids = model.tokenizer->EncodePrompt(text, model::text::Specials::kParse);
  if (!ids.ok()) return fields.Fail("prompt", ids.status().message());
  out.prompts.push_back({*std::move(ids), text});
}

void ReadIdPrompt(Fields& fields, const Json& ids, const std::string& place,
                  const ServedModel& model, CompletionRequest& out) {
  fields.Take(ReadIds(ids, place, model.vocabulary_size, out.prompts.emplace_back().ids));
}

// string | [string] | [id] | [[id]]
void ReadPrompts(Fields& fields, const ServedModel& model, CompletionRequest& out) {
  const Json* prompt = fields.Find("prompt");
  if (prompt == nullptr) return fields.Fail("prompt", "'prompt' is missing");
  if (prompt->is_string()) return ReadTextPrompt(fields, prompt->get<std::string>(), model, out);
  if (!prompt->is_array()) {
    return fields.Fail(
        "prompt", Joined("'prompt' must be a string, an array of strings, an array of ids or an "
                         "array of these, it is ",
                         Shown(*prompt)));
  }
  if (prompt->empty()) return fields.Fail("prompt", "'prompt' is an empty array");
  if (prompt->front().is_number()) return ReadIdPrompt(fields, *prompt, "prompt", model, out);
  if (prompt->size() * out.common.n > kMostChoices) {
    return fields.Fail("prompt", Joined(prompt->size(), " prompts with n ", out.common.n,
                                        " are more than ", kMostChoices, " answers"));
  }
  for (std::size_t i = 0; i < prompt->size() && !fields.error(); ++i) {
    const std::string place = Joined("prompt[", i, "]");
    const Json& entry = (*prompt)[i];
    if (entry.is_string()) {
      ReadTextPrompt(fields, entry.get<std::string>(), model, out);
    } else if (entry.is_array()) {
      ReadIdPrompt(fields, entry, place, model, out);
    } else {
      fields.Fail("prompt", Joined("'", place, "' must be a string or an array of ids, it is ",
                                   Shown(entry)));
    }
  }
}

}  // namespace

std::optional<ApiError> ReadCompletionRequest(const Json& body, const ServedModel& model,
                                              CompletionRequest& out) {
  Fields fields(body);
  out.common = ReadCommonFields(fields, model);
  if (!out.common.max_tokens) out.common.max_tokens = kDefaultMaxTokens;
  out.echo = fields.Bool("echo").value_or(false);
  if (const auto logprobs = fields.Integer("logprobs", 0, 5))
    out.logprobs = static_cast<std::uint32_t>(*logprobs);
  if (out.common.max_tokens == 0U && !out.echo) {
    fields.Fail("max_tokens", "'max_tokens' is 0: that is only useful with 'echo': true");
  }
  if (fields.Text("suffix").value_or("") != "") {
    fields.Fail("suffix", "'suffix' is not supported", "not_supported");
  }
  if (fields.Integer("best_of", 1, kMostChoices).value_or(out.common.n) != out.common.n) {
    fields.Fail("best_of", "'best_of' is not supported: leave it away or make it n",
                "not_supported");
  }
  if (fields.error()) return fields.error();
  ReadPrompts(fields, model, out);
  return fields.error();
}

}  // namespace bramble::coordinator
