#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/files/model_files.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "model/text/vocabulary.h"

namespace bramble::model {

// What a model's files say about text.
struct Codec {
  std::unique_ptr<text::Tokenizer> tokenizer;         // nullptr: none that can be used
  std::unique_ptr<text::ChatTemplate> chat_template;  // likewise
  std::string kind;                // "byte-level BPE, 49152 tokens"; empty without a tokenizer
  std::vector<std::string> notes;  // why something is missing
};

// Reads the tokenizer and the template: of GGUF metadata, or of the files beside config.json
// (tokenizer.json or tokenizer.model, tokenizer_config.json, generation_config.json,
// chat_template.jinja). `vocabulary_size`: the rows of the embedding table, which a tokenizer must
// not exceed; 0: not known. Never fails: what cannot be used is a note.
Codec ReadCodec(const files::ModelFiles& files, std::uint32_t vocabulary_size);

// The parts of it.
Result<text::VocabularySpec> ReadGgufVocabulary(const files::Metadata& metadata);
Result<text::VocabularySpec> ReadHfVocabulary(const files::ModelFiles& files);
// The source of the default chat template; empty: there is none.
Result<std::string> ReadGgufTemplate(const files::Metadata& metadata);
Result<std::string> ReadHfTemplate(const files::ModelFiles& files);

}  // namespace bramble::model
