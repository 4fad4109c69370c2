#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"

namespace bramble::model {

namespace text {
class Tokenizer;
class ChatTemplate;
}  // namespace text

// What the one who compiles a model may choose. Everything else is in the file.
struct CompileOptions {
  // How products with quantized weights take their input. Float weights (F32, F16, BF16) always
  // take f32.
  v1::InputForm input_form = v1::INPUT_FORM_A8_32;
  // How keys and values are kept: F16 or F32. Unspecified: F32 in a model of float weights, which
  // somebody has chosen for the sake of its precision (rounding keys and values to F16 moves its
  // logits by a five-hundredth of their standard deviation), and F16 in a quantized one, where that
  // drowns in the rest.
  v1::Encoding cache_encoding = v1::ENCODING_UNSPECIFIED;
  // Positions; 0: as many as the model was made for. More than that is refused.
  std::uint32_t context_length = 0;
};

// The slow true mode: float activations, caches of full precision ("--activations f32").
inline CompileOptions TrueMode() { return {v1::INPUT_FORM_F32, v1::ENCODING_F32, 0}; }

// How much of a model is stored in one encoding.
struct EncodingUse {
  v1::Encoding encoding = v1::ENCODING_UNSPECIFIED;
  std::uint64_t tensors = 0;
  std::uint64_t values = 0;
  std::uint64_t bytes = 0;
};

// What a person wants to know about a model file. Strings that come from the file are escaped for a
// terminal.
struct ModelFacts {
  std::string path;
  std::string container;  // "GGUF version 3", "safetensors, 3 files"
  std::string family;     // as the file names it: "llama"
  std::string name;       // as the file names itself, or the name of the path
  std::uint64_t parameters = 0;
  std::uint64_t tensors = 0;
  std::uint64_t bytes = 0;             // of all tensors
  std::vector<EncodingUse> encodings;  // falling bytes
  std::uint32_t context_length = 0;    // that the model was made for
  std::uint32_t vocabulary_size = 0;
  std::uint32_t layers = 0;
  std::string tokenizer;  // "byte-level BPE, 49152 tokens"; empty: the file has none
  bool chat_template = false;
  // Why there is no program, tokenizer or template, and what in the file was not used. One line
  // each.
  std::vector<std::string> notes;
};

// A model file or folder, opened: its program, the bytes of its weights, its text codec. Weights
// are read from the memory-mapped files, which must not change while the model is open. Thread-safe
// after Open.
class Model {
 public:
  // Opens `path`: a .gguf file, the first part of a split one, a .safetensors file beside its
  // config.json, or a folder with either. Reads everything once, to hash the weights. Fails with a
  // message that names the file and what is wrong in it, before anything is allocated for it. A
  // missing or unusable tokenizer or template is no failure: facts().notes says why.
  static Result<std::unique_ptr<Model>> Open(const std::string& path,
                                             const CompileOptions& options);

  // The facts alone, from headers: no weight is read, and a family that cannot be compiled is a
  // note.
  static Result<ModelFacts> Inspect(const std::string& path);

  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  virtual const v1::Program& program() const = 0;

  // The encoded bytes of the weight with this hash (Weight.sha256, 32 raw bytes); valid as long as
  // the model. NotFound for any other hash.
  virtual Result<std::span<const std::byte>> WeightBytes(std::string_view sha256) const = 0;

  // nullptr: the model has none, or one that cannot be used; facts().notes says why.
  virtual const text::Tokenizer* tokenizer() const = 0;
  virtual const text::ChatTemplate* chat_template() const = 0;

  virtual const ModelFacts& facts() const = 0;

 protected:
  Model() = default;
};

}  // namespace bramble::model
