#include "model/facts.h"

#include <algorithm>
#include <filesystem>

#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model {
namespace {

constexpr std::size_t kNameLimit = 120;
constexpr std::size_t kListedTensors = 5;

// What the file calls itself, or what it is called.
std::string ModelName(const files::ModelFiles& files) {
  for (const char* key : {"general.name", "_name_or_path"}) {
    const files::MetaValue* value = files::FindValue(files.metadata, key);
    const auto text = value == nullptr ? std::nullopt : value->Text();
    if (text && !text->empty()) return files::Escape(*text, kNameLimit);
  }
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(files.path, error);
  const std::filesystem::path base = error ? std::filesystem::path(files.path) : path;
  const bool is_hf = files.dialect == files::Dialect::kHuggingFace;
  return files::Escape((is_hf ? base.filename() : base.stem()).string(), kNameLimit);
}

void CountTensors(const files::ModelFiles& files, ModelFacts* facts) {
  for (const files::Tensor& tensor : files.tensors.all()) {
    ++facts->tensors;
    facts->bytes += tensor.bytes.size();
    if (tensor.encoding == v1::ENCODING_UNSPECIFIED) continue;  // a mask or the like
    facts->parameters += tensor.values();
    auto use = std::find_if(facts->encodings.begin(), facts->encodings.end(),
                            [&](const EncodingUse& u) { return u.encoding == tensor.encoding; });
    if (use == facts->encodings.end()) {
      use = facts->encodings.insert(use, EncodingUse{tensor.encoding});
    }
    ++use->tensors;
    use->values += tensor.values();
    use->bytes += tensor.bytes.size();
  }
  std::stable_sort(facts->encodings.begin(), facts->encodings.end(),
                   [](const EncodingUse& a, const EncodingUse& b) { return a.bytes > b.bytes; });
}

}  // namespace

ModelFacts FileFacts(const files::ModelFiles& files) {
  ModelFacts facts;
  facts.path = files::QuotePath(files.path);
  facts.container = files.container;
  facts.family = files::Escape(families::FamilyName(files), kNameLimit);
  facts.name = ModelName(files);
  CountTensors(files, &facts);
  return facts;
}

void AddProgramFacts(const families::Compiled& compiled, ModelFacts* facts) {
  facts->context_length = compiled.trained_context;
  facts->vocabulary_size = compiled.program.vocabulary_size();
  facts->layers = compiled.layers;
  const auto& unused = compiled.unused_tensors;
  if (unused.empty()) return;
  std::string note = std::to_string(unused.size()) +
                     (unused.size() == 1 ? " tensor is" : " tensors are") + " not used: ";
  for (std::size_t i = 0; i < unused.size() && i < kListedTensors; ++i) {
    note += (i > 0 ? ", " : "") + files::Quote(unused[i]);
  }
  facts->notes.push_back(note + (unused.size() > kListedTensors ? ", ..." : ""));
}

void AddCodecFacts(const Codec& codec, ModelFacts* facts) {
  facts->tokenizer = codec.kind;
  facts->chat_template = codec.chat_template != nullptr;
  facts->notes.insert(facts->notes.end(), codec.notes.begin(), codec.notes.end());
}

}  // namespace bramble::model
