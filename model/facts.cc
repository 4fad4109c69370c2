#include "model/facts.h"

#include <algorithm>
#include <filesystem>

#include "model/families/table.h"
#include "model/files/quote.h"
#include "model/quantized/table.h"
#include "proto/program/weights.h"

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

void AddUse(v1::Encoding encoding, std::uint64_t values, std::uint64_t bytes, ModelFacts* facts) {
  facts->parameters += values;
  auto use = std::find_if(facts->encodings.begin(), facts->encodings.end(),
                          [&](const EncodingUse& u) { return u.encoding == encoding; });
  if (use == facts->encodings.end()) use = facts->encodings.insert(use, EncodingUse{encoding});
  ++use->tensors;
  use->values += values;
  use->bytes += bytes;
}

void SortUses(ModelFacts* facts) {
  std::stable_sort(facts->encodings.begin(), facts->encodings.end(),
                   [](const EncodingUse& a, const EncodingUse& b) { return a.bytes > b.bytes; });
}

void CountTensors(const files::ModelFiles& files, ModelFacts* facts) {
  for (const files::Tensor& tensor : files.tensors.all()) {
    ++facts->tensors;
    facts->bytes += tensor.bytes.size();
    if (tensor.encoding == v1::ENCODING_UNSPECIFIED) continue;  // a mask or the like
    AddUse(tensor.encoding, tensor.values(), tensor.bytes.size(), facts);
  }
  SortUses(facts);
}

// The numbers of a quantized checkpoint are in tensors of no encoding: what the program makes of
// them is counted instead.
void CountWeights(const families::Compiled& compiled, ModelFacts* facts) {
  bool quantized = false;
  for (const auto& recipe : compiled.recipes) quantized = quantized || recipe.quantized != nullptr;
  if (!quantized) return;
  facts->parameters = 0;
  facts->encodings.clear();
  for (std::size_t i = 0; i < compiled.recipes.size(); ++i) {
    const v1::Weight& weight = compiled.program.weights(static_cast<int>(i));
    const bool columns = compiled.recipes[i].kind == families::Weights::Recipe::Kind::kPermutation;
    if (compiled.recipes[i].tensor == nullptr || columns) continue;
    AddUse(weight.encoding(), program::WeightRows(weight) * weight.shape(weight.shape_size() - 1),
           program::WeightBytes(weight), facts);
  }
  SortUses(facts);
}

}  // namespace

ModelFacts FileFacts(const files::ModelFiles& files) {
  ModelFacts facts;
  facts.path = files::QuotePath(files.path);
  facts.container = files.container;
  const std::string quantization = quantized::Describe(files.metadata);
  if (!quantization.empty()) facts.container += "; " + quantization;
  facts.family = files::Escape(families::FamilyName(files), kNameLimit);
  facts.name = ModelName(files);
  CountTensors(files, &facts);
  facts.notes = files.notes;
  return facts;
}

void AddProgramFacts(const families::Compiled& compiled, ModelFacts* facts) {
  facts->context_length = compiled.trained_context;
  facts->vocabulary_size = compiled.program.vocabulary_size();
  facts->layers = compiled.layers;
  CountWeights(compiled, facts);
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
