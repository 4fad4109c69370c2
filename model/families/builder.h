#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/families/rope.h"
#include "model/families/weights.h"
#include "model/model.h"

namespace bramble::model::families {

// A value of the block that is being built.
struct Value {
  std::uint32_t index = 0;
  std::uint32_t width = 0;
  v1::RowKind rows = v1::ROW_KIND_TOKEN;
};

// A rotation as an operation needs it.
struct RopeWeights {
  v1::Rope::Style style = v1::Rope::STYLE_HALF;
  WeightRef frequencies = 0;
  std::uint32_t dims = 0;  // how many numbers of a head are turned
  float magnitude = 1;
};

// One layer's attention.
struct AttentionSpec {
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t key_dim = 0;    // numbers a head
  std::uint32_t value_dim = 0;  // numbers a head
  std::uint32_t window = 0;     // 0, or how many positions are seen, the own one included
  float scale = 1;
  float soft_cap = 0;
};

// Writes a decoder's program, block by block and operation by operation. The calls follow the flow
// of the values; each names its operation for messages ("attn_q"). The blocks hand one stream on.
// One thread.
class ProgramBuilder {
 public:
  // `weights` must outlive this.
  ProgramBuilder(Weights* weights, const CompileOptions& options)
      : weights_(*weights), options_(options) {}

  // Begins a block; the one before is over.
  void BeginBlock(std::string name);
  // The stream that the block before has written.
  Value Input();
  // What this block hands on.
  void Output(Value value);

  Value Embed(std::string_view name, WeightRef table, v1::Embed::Source source);
  Value Linear(std::string_view name, Value x, WeightRef matrix,
               std::optional<WeightRef> bias = {});
  // The matrix behind an attention: its segments follow the key-value heads.
  Value LinearOfHeads(std::string_view name, Value x, WeightRef matrix,
                      std::optional<WeightRef> bias, std::uint32_t kv_heads);
  // `groups`: 1, or the heads, which then share `gain`.
  Value RmsNorm(std::string_view name, Value x, float epsilon, WeightRef gain,
                std::uint32_t groups = 1);
  Value LayerNorm(std::string_view name, Value x, float epsilon, WeightRef gain,
                  std::optional<WeightRef> bias);
  Value Rope(std::string_view name, Value x, std::uint32_t heads, const RopeWeights& rope);
  // Makes the layer's cache, too; its encoding is still open.
  Value Attention(std::string_view name, Value q, Value k, Value v, const AttentionSpec& spec);
  Value Activate(std::string_view name, Value x, v1::Function function);
  Value Gate(std::string_view name, Value a, Value b, v1::Function function);
  Value Add(std::string_view name, Value a, Value b);
  Value Scale(std::string_view name, Value x, float factor);
  Value SoftCap(std::string_view name, Value x, float cap);
  Value GatherOutputs(std::string_view name, Value x);
  void Sample(std::string_view name, Value logits);

  RopeWeights KeepRotation(std::string_view name, v1::Rope::Style style, const Rotation& rotation);

  // The program without its weights, its name, its lengths and the encoding of its caches.
  v1::Program Take() { return std::move(program_); }

 private:
  Value NewValue(std::string_view name, std::uint32_t width, v1::RowKind rows);
  v1::Operation* NewOperation(std::string_view name, std::initializer_list<Value> inputs);
  // Gives `operation` its output, named after it.
  Value Result(v1::Operation* operation, std::uint32_t width, v1::RowKind rows);
  Value AddLinear(std::string_view name, Value x, WeightRef matrix, std::optional<WeightRef> bias,
                  std::optional<std::uint32_t> kv_heads);
  Value AddNorm(std::string_view name, Value x, v1::Norm::Kind kind, float epsilon, WeightRef gain,
                std::optional<WeightRef> bias, std::uint32_t groups);
  Value AddArithmetic(std::string_view name, std::initializer_list<Value> inputs,
                      v1::Arithmetic::Kind kind, float scalar);

  Weights& weights_;
  const CompileOptions& options_;
  v1::Program program_;
  v1::Block* block_ = nullptr;
};

}  // namespace bramble::model::families
