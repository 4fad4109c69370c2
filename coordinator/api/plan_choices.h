#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/api/api.h"
#include "coordinator/api/common_fields.h"
#include "coordinator/api/generation.h"

namespace bramble::coordinator {

// How many ids the answer may have: what was asked for, or all the room behind the prompt. The
// error has the numbers. `context` = 0: nothing is served now; the generator will say so.
std::optional<ApiError> LimitAnswer(const CommonFields& common, std::size_t prompt_tokens,
                                    std::uint32_t context, const std::string& param,
                                    std::uint32_t& max_tokens);

// The n choices of one prompt, added to `plans`. Choice k has seed + k: the first is what n = 1
// gives.
void PlanChoices(const CommonFields& common, const model::text::Tokenizer& tokenizer,
                 const GenerateRequest& request, const AnswerText::Options& text,
                 std::vector<ChoicePlan>& plans);

// A new id of a reply, and what else is the same in all its objects.
ReplyFacts MakeFacts(const ServedModel& model, const char* prefix);

// Starts the generation, with the writer that `common` asks for.
void StartGeneration(const ApiOptions& api, std::shared_ptr<Exchange> exchange,
                     const CommonFields& common, std::vector<ChoicePlan> plans,
                     std::unique_ptr<ChoiceShape> shape, const char* id_prefix);

}  // namespace bramble::coordinator
