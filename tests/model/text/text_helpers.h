#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "common/status.h"
#include "model/text/tokenizer.h"
#include "model/text/vocabulary.h"

namespace bramble::model::text {

// tests/golden/NAME in the repository.
std::string GoldenPath(const std::string& name);

// The bytes of a file; fails the test if there is none.
std::string ReadAll(const std::string& path);

// A file of tests/golden as JSON.
nlohmann::ordered_json GoldenJson(const std::string& name);

// $BRAMBLE_MODELS/NAME; empty if there is no such file.
std::string ModelPath(const std::string& name);

// The vocabulary in a GGUF file.
Result<VocabularySpec> SpecOfGguf(const std::string& path);

// By the ending of the path: .gguf, .tokenizer.json, .model.
Result<VocabularySpec> SpecOfFile(const std::string& path);

// A byte-level BPE of all 256 letters, the tokens "ab" and "abc", and the control tokens "<s>",
// "</s>", "<|im_start|>",
// "<|im_end|>"; splits as GPT-2.
VocabularySpec SmallSpec();

// Of a specification; fails the test if it cannot be made.
std::unique_ptr<Tokenizer> MakeOrFail(VocabularySpec spec);

// Of a file of tests/golden/tokenizers; fails the test if it cannot be made.
std::unique_ptr<Tokenizer> GoldenTokenizer(const std::string& name);

}  // namespace bramble::model::text
