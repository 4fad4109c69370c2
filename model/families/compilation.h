#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/families/builder.h"
#include "model/families/fields.h"
#include "model/families/weights.h"
#include "model/files/model_files.h"
#include "model/model.h"

namespace bramble::model::families {

// More than any model has; what a description may claim before its tensors are looked at.
inline constexpr std::uint32_t kMostLayers = 1024;
inline constexpr std::uint32_t kMostWidth = 1u << 20;
inline constexpr std::uint32_t kMostHeads = 4096;
inline constexpr std::uint32_t kMostHeadDim = 4096;
inline constexpr std::uint32_t kMostPositions = (1u << 24) - 1;

// A tensor's name in each dialect, without ".weight" or ".bias"; '#' stands for the layer.
struct TensorName {
  std::string_view gguf;
  std::string_view hf;
};

// What a family's compiler works with, and what it leaves.
struct Compilation {
  Compilation(const files::ModelFiles& model_files, const CompileOptions& compile_options)
      : files(model_files),
        options(compile_options),
        weights(model_files.tensors, model_files.metadata),
        builder(&weights, compile_options) {}

  const files::ModelFiles& files;
  const CompileOptions& options;
  Weights weights;
  ProgramBuilder builder;

  // What stands in front of a Hugging Face file's tensor names ("model."): the first of `prefixes`
  // with which the tensor `probe` exists, else the first.
  void FindPrefix(std::initializer_list<std::string_view> prefixes, std::string_view probe);
  std::string hf_prefix;

  bool is_hf() const { return files.dialect == files::Dialect::kHuggingFace; }
  std::string Name(TensorName name, std::string_view suffix, std::uint32_t layer = 0) const;
  bool Has(TensorName name, std::string_view suffix, std::uint32_t layer = 0) const {
    return weights.Has(Name(name, suffix, layer));
  }
  // Shorthands for the weights of layer `layer`.
  WeightRef Matrix(TensorName name, std::uint32_t layer, std::uint32_t outputs,
                   std::uint32_t inputs);
  WeightRef Vector(TensorName name, std::string_view suffix, std::uint32_t layer,
                   std::uint32_t size, float added = 0);
  // The bias, where `wanted`; GGUF files say it by having the tensor.
  std::optional<WeightRef> Bias(TensorName name, std::uint32_t layer, std::uint32_t size,
                                bool wanted);
  // The matrix that makes logits: `table`, the tokens' embeddings, where the two are `tied`, else
  // the tensor `name`, which stands outside of what the prefix names.
  WeightRef Head(TensorName name, bool tied, WeightRef table, std::uint32_t width);
  bool HasHead(TensorName name) const { return weights.Has(HeadName(name)); }

  // Left by the compiler.
  std::uint32_t layers = 0;
  std::uint32_t vocabulary_size = 0;
  std::uint32_t trained_context = 0;           // positions that the model was made for
  std::uint32_t context_length = 0;            // positions of the program
  std::optional<std::uint32_t> start_id = {};  // with an encoder: where answers begin

 private:
  std::string HeadName(TensorName name) const;
};

// Sets vocabulary_size to the number of rows of the embedding table, which must be what `fields`
// say, if they say it.
Status ReadVocabulary(Fields* fields, TensorName embedding, std::uint32_t width, Compilation* c);

// How every decoder begins.
struct Beginning {
  TensorName embedding;  // of tokens
  std::uint32_t width = 0;
  std::uint32_t layers = 0;
  std::uint32_t most_positions = 0;  // 0: as many as the model was made for
};

// Ends the reading of `fields`: their errors, the vocabulary, the number of layers, the context.
// Then opens the block "embed" and gives the table of tokens.
Result<WeightRef> BeginDecoder(Fields* fields, const Beginning& beginning, Compilation* c);

// Options that no family of dense layers can have, whatever it is: mixtures of experts, methods of
// quantization that nobody reads.
void RefuseStrangers(Fields* fields, const files::ModelFiles& files);
// Checkpoints that are quantized by a method that model/quantized/ does not read.
void RefuseQuantized(Fields* fields, const files::ModelFiles& files);

// The activation that the description names, or `if_missing`. Errors go to `fields`.
v1::Function ReadFunction(Fields* fields, Key key, std::string_view if_missing);

// config.json's `layer_types`: for each of `layers` whether it is "sliding_attention". Empty if
// there is no such list; errors go to `fields`.
std::vector<bool> ReadSlidingLayers(Fields* fields, std::uint32_t layers);

// The program's number of positions: what the options ask for, or all that the model has. Refuses
// more than `most`.
Status ChooseContext(Compilation* c, std::uint32_t most);

}  // namespace bramble::model::families
