#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
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
  std::uint32_t first = 0;  // the first of them
  std::optional<WeightRef> long_frequencies = {};
  std::uint32_t long_from = 0;
};

// Biases by relative position: [buckets, heads], and the bucket of each distance.
struct Buckets {
  WeightRef bias = 0;
  WeightRef ids = 0;
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
  std::optional<WeightRef> sinks = {};
  std::optional<WeightRef> slopes = {};  // [heads]: ALiBi
  v1::Attention::Sees sees = v1::Attention::SEES_CAUSAL;
  std::optional<Buckets> buckets = {};
};

// A mixture of experts: how rows are routed, and what the experts are.
struct ExpertsSpec {
  std::uint32_t experts = 0;
  std::uint32_t per_row = 0;
  v1::Moe::Score score = v1::Moe::SCORE_SOFTMAX_THEN_TOP;
  bool renormalize = false;
  float scale = 1;
  std::uint32_t groups = 0;
  std::uint32_t groups_per_row = 0;
  v1::Moe::GroupScore group_score = v1::Moe::GROUP_SCORE_UNSPECIFIED;
  float threshold = 0;
  v1::Function function = v1::FUNCTION_SILU;
  float limit = 0;
  float offset = 0;
};

// Its weights. Each list has a matrix an expert, alone or in stacks.
struct ExpertsWeights {
  std::vector<WeightRef> gate;  // empty: none
  std::vector<WeightRef> up;
  std::vector<WeightRef> down;
  std::optional<WeightRef> selection_bias;
  std::optional<WeightRef> gate_bias;
  std::optional<WeightRef> up_bias;
  std::optional<WeightRef> down_bias;
  std::optional<WeightRef> expert_scale;
};

// Writes a program, block by block and operation by operation. The calls follow the flow of the
// values; each names its operation for messages ("attn_q"). The blocks hand one stream on, unless
// they say which. One thread.
class ProgramBuilder {
 public:
  // `weights` must outlive this.
  ProgramBuilder(Weights* weights, const CompileOptions& options)
      : weights_(*weights), options_(options) {}

  // Begins a block; the one before is over.
  void BeginBlock(std::string name);
  // The stream that the block before has written.
  Value Input();
  // What this block hands on; the stream may be read again by later blocks (InputFrom).
  std::uint32_t Output(Value value);
  // A stream that an earlier block has written.
  Value InputFrom(std::uint32_t stream);
  // What the whole program gives to whoever asks it.
  void Answer(std::string_view name, Value value, v1::ResultKind kind);

  Value Embed(std::string_view name, WeightRef table, v1::Embed::Source source);
  // Learned positions: position p is row p + offset of the table.
  Value EmbedPositions(std::string_view name, WeightRef table, std::uint32_t offset);
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
  // Any norm; `groups` as above, where a gain may be [x.width], too: one of its own for each.
  Value Norm(std::string_view name, Value x, v1::Norm::Kind kind, float epsilon,
             std::optional<WeightRef> gain, std::optional<WeightRef> bias,
             std::uint32_t groups = 1);
  Value Rope(std::string_view name, Value x, std::uint32_t heads, const RopeWeights& rope);
  // Makes the layer's cache, too; its encoding is still open.
  Value Attention(std::string_view name, Value q, Value k, Value v, const AttentionSpec& spec);
  Value Activate(std::string_view name, Value x, v1::Function function);
  Value Gate(std::string_view name, Value a, Value b, v1::Function function);
  Value Add(std::string_view name, Value a, Value b);
  Value Scale(std::string_view name, Value x, float factor);
  Value SoftCap(std::string_view name, Value x, float cap);
  Value Multiply(std::string_view name, Value a, Value b);
  // x times the one number that each row of `factor` has.
  Value MultiplyByColumn(std::string_view name, Value x, Value factor);
  Value Clamp(std::string_view name, Value x, float limit);
  Value Moe(std::string_view name, Value x, Value logits, const ExpertsSpec& spec,
            const ExpertsWeights& weights);
  // Columns [from, from + width) of each of `groups` equal parts of a row.
  Value Slice(std::string_view name, Value x, std::uint32_t groups, std::uint32_t from,
              std::uint32_t width);
  // In each of `groups` parts: a's part, then b's; `b_repeated`: all of b.
  Value Concatenate(std::string_view name, Value a, Value b, std::uint32_t groups, bool b_repeated);
  Value GatherOutputs(std::string_view name, Value x);
  // Column i of the result is x's column columns[i].
  Value Permute(std::string_view name, Value x, WeightRef columns);

  // Along sequences: builder_sequences.cc.
  // Ids, positions or types of tokens or of a source; position p is row p + `offset`.
  Value EmbedRows(std::string_view name, WeightRef table, v1::Embed::Source source,
                  v1::RowKind rows, std::uint32_t offset = 0);
  Value Pool(std::string_view name, Value x, v1::Pool::Kind kind);
  // KIND_FIRST or KIND_LAST: a row of each sequence.
  Value GatherOfSequence(std::string_view name, Value x, v1::Gather::Kind kind);
  Value L2Norm(std::string_view name, Value x, float epsilon);
  // Each column along the sequence: `taps` is [kernel, x.width]. Makes its state.
  Value Convolution(std::string_view name, Value x, WeightRef taps, std::optional<WeightRef> bias);
  // Make their states; the operands are those of program.proto.
  Value SelectiveScan(std::string_view name, Value x, Value step, Value b, Value c, WeightRef decay,
                      WeightRef skip, std::uint32_t state_size);
  Value StateSpaceDual(std::string_view name, Value x, Value step, Value b, Value c,
                       WeightRef decay, WeightRef skip, std::uint32_t state_size);
  Value Wkv(std::string_view name, Value k, Value v, WeightRef decay, WeightRef first);

  void Sample(std::string_view name, Value logits);

  // The form in which a product with this matrix takes its input.
  v1::InputForm FormOf(WeightRef matrix) const;

  RopeWeights KeepRotation(std::string_view name, v1::Rope::Style style, const Rotation& rotation);

  // The program without its weights, its name, its lengths and the encoding of its caches.
  v1::Program Take() { return std::move(program_); }

 private:
  std::uint32_t NewState(std::uint32_t rows, std::uint32_t width);
  Value AddStateSpace(std::string_view name, v1::Recurrence::Kind kind,
                      std::initializer_list<Value> inputs, std::initializer_list<WeightRef> weights,
                      std::uint32_t heads, std::uint32_t state_size, std::uint32_t state_rows,
                      std::uint32_t state_width);
  Value NewValue(std::string_view name, std::uint32_t width, v1::RowKind rows);
  v1::Operation* NewOperation(std::string_view name, std::initializer_list<Value> inputs);
  // Gives `operation` its output, named after it.
  Value Result(v1::Operation* operation, std::uint32_t width, v1::RowKind rows);
  Value AddLinear(std::string_view name, Value x, WeightRef matrix, std::optional<WeightRef> bias,
                  std::optional<std::uint32_t> kv_heads);
  Value AddProduct(std::string_view name, Value x, WeightRef matrix, std::optional<WeightRef> bias,
                   std::optional<std::uint32_t> kv_heads);
  Value AddComposition(std::string_view name, Value x, const Composition& matrix,
                       std::optional<WeightRef> bias);
  Value AddArithmetic(std::string_view name, std::initializer_list<Value> inputs,
                      v1::Arithmetic::Kind kind, float scalar);

  Weights& weights_;
  const CompileOptions& options_;
  v1::Program program_;
  v1::Block* block_ = nullptr;
  std::map<std::pair<std::uint32_t, WeightRef>, Value> permuted_;  // of this block's values
};

}  // namespace bramble::model::families
