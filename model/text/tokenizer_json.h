#pragma once

#include <nlohmann/json.hpp>

#include "common/status.h"
#include "model/text/vocabulary.h"

// The two halves of ReadTokenizerJson. Not for others: this header brings all of nlohmann's.
namespace bramble::model::text {

// "model" and "added_tokens": tokens, scores, types, merges.
Status ReadTokens(const nlohmann::json& root, VocabularySpec& spec);

// "normalizer", "pre_tokenizer", "post_processor". After ReadTokens: what they mean depends on the
// kind.
Status ReadRules(const nlohmann::json& root, VocabularySpec& spec);

// A member of `object`; nullptr if there is none, if it is null, or if `object` is not one.
const nlohmann::json* Member(const nlohmann::json& object, const char* key);
// The same if it is a text; empty otherwise.
std::string TextMember(const nlohmann::json& object, const char* key);
bool FlagMember(const nlohmann::json& object, const char* key, bool if_missing);

// Whether the pre-tokenizer (or one of its sequence) is of this type.
bool HasPreTokenizer(const nlohmann::json& root, std::string_view type);

}  // namespace bramble::model::text
