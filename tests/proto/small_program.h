// A small transformer as a program, with weights drawn from a seed: what the tests of proto/program
// and worker/exec run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "kernels/encodings/encoding.h"

namespace bramble::testing {

struct SmallModel {
  std::uint32_t layers = 2;
  std::uint32_t width = 64;
  std::uint32_t heads = 4;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_dim = 32;
  std::uint32_t inner = 96;
  std::uint32_t vocabulary = 50;
  std::uint32_t context = 64;
  v1::Encoding encoding = v1::ENCODING_F32;  // of the matrices: F32, Q4_0 or Q8_0
  v1::InputForm input_form = v1::INPUT_FORM_F32;
  v1::Encoding cache_encoding = v1::ENCODING_F32;
  std::uint32_t window = 0;  // of every second layer
  float soft_cap = 0;        // of scores and logits
  bool learned_positions = false;
  bool biases = false;
  bool slopes_and_sinks = false;
  // With experts: what the feed-forward networks are, but for their weights, forms and segments.
  v1::Moe moe;
  bool selection_bias = false;
  bool expert_scale = false;
  bool expert_gates = true;
  v1::Norm::Kind norm = v1::Norm::KIND_RMS;
  v1::Rope::Style rope = v1::Rope::STYLE_HALF;
  std::uint32_t long_from = 0;  // 0, or the length beyond which other frequencies turn
  std::uint32_t long_rows = 1;  // how many lengths have frequencies of their own
  unsigned seed = 1;
};

struct SmallProgram {
  v1::Program program;
  std::map<std::string, std::vector<std::byte>> bytes;  // by Weight.sha256
};

// Builds blocks "embed", "layer.0" .., "head". The table of ids is also the head's matrix.
class SmallProgramBuilder {
 public:
  explicit SmallProgramBuilder(const SmallModel& model) : model_(model), random_(model.seed) {}

  SmallProgram Build() {
    v1::Program& program = made_.program;
    program.set_version(1);
    program.set_name("small");
    program.set_context_length(model_.context);
    program.set_vocabulary_size(model_.vocabulary);
    table_ = Matrix("table", model_.vocabulary, model_.width);
    AddEmbed();
    for (std::uint32_t l = 0; l < model_.layers; ++l) AddLayer(l);
    AddHead();
    return std::move(made_);
  }

 private:
  std::uint32_t AddWeight(const std::string& name, v1::Encoding encoding,
                          const std::vector<std::uint64_t>& shape, std::vector<std::byte> bytes) {
    v1::Weight& weight = *made_.program.add_weights();
    weight.set_name(name);
    weight.set_encoding(encoding);
    for (const std::uint64_t n : shape) weight.add_shape(n);
    // Not a real hash: nothing here looks weights up by their content.
    std::string hash(32, '\0');
    const std::uint32_t index = static_cast<std::uint32_t>(made_.program.weights_size() - 1);
    std::memcpy(hash.data(), &index, sizeof(index));
    weight.set_sha256(hash);
    made_.bytes[hash] = std::move(bytes);
    return index;
  }

  std::vector<std::byte> Floats(std::size_t count, float middle, float spread) {
    std::vector<std::byte> bytes(count * sizeof(float));
    for (std::size_t i = 0; i < count; ++i) {
      const float value = middle + spread * Uniform();
      std::memcpy(bytes.data() + i * sizeof(float), &value, sizeof(value));
    }
    return bytes;
  }

  // Within [-1, 1), the same with every standard library.
  float Uniform() { return static_cast<float>(random_() >> 8U) / 8388608.0F - 1.0F; }

  // Random integers under one scale of 2^-6 or so.
  std::vector<std::byte> Blocks(std::size_t count, std::size_t block_bytes) {
    std::vector<std::byte> bytes(count * block_bytes);
    for (std::byte& b : bytes) b = static_cast<std::byte>(random_() >> 24U);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint16_t scale = static_cast<std::uint16_t>(
          (model_.encoding == v1::ENCODING_Q8_0 ? 0x1000U : 0x2400U) + (random_() >> 24U));
      std::memcpy(bytes.data() + i * block_bytes, &scale, sizeof(scale));
    }
    return bytes;
  }

  std::uint32_t Matrix(const std::string& name, std::uint32_t outputs, std::uint32_t inputs) {
    return Matrices(name, {outputs, inputs});
  }

  std::uint32_t Matrices(const std::string& name, const std::vector<std::uint64_t>& shape) {
    std::size_t count = 1;
    for (const std::uint64_t n : shape) count *= n;
    if (model_.encoding == v1::ENCODING_F32) {
      const float spread = 1.7F / std::sqrt(static_cast<float>(shape.back()));
      return AddWeight(name, v1::ENCODING_F32, shape, Floats(count, 0, spread));
    }
    const kernels::EncodingInfo& info =
        *kernels::FindEncoding(static_cast<kernels::Encoding>(model_.encoding));
    return AddWeight(name, model_.encoding, shape,
                     Blocks(count / info.block_values, info.block_bytes));
  }

  std::uint32_t Vector(const std::string& name, std::uint32_t count, float middle, float spread) {
    return AddWeight(name, v1::ENCODING_F32, {count}, Floats(count, middle, spread));
  }

  // --- Blocks.
  v1::Block& AddBlock(const std::string& name) {
    block_ = made_.program.add_blocks();
    block_->set_name(name);
    return *block_;
  }

  std::uint32_t Value(const std::string& name, std::uint32_t width,
                      v1::RowKind rows = v1::ROW_KIND_TOKEN) {
    v1::Value& value = *block_->add_values();
    value.set_name(name);
    value.set_width(width);
    value.set_rows(rows);
    return static_cast<std::uint32_t>(block_->values_size() - 1);
  }

  std::uint32_t Enter() {
    const std::uint32_t value = Value("hidden", model_.width);
    v1::Port& port = *block_->add_inputs();
    port.set_stream(stream_);
    port.set_value(value);
    return value;
  }

  void Leave(std::uint32_t value) {
    v1::Stream& stream = *made_.program.add_streams();
    stream.set_name("hidden." + std::to_string(made_.program.streams_size() - 1));
    stream.set_width(model_.width);
    stream.set_rows(v1::ROW_KIND_TOKEN);
    stream_ = static_cast<std::uint32_t>(made_.program.streams_size() - 1);
    v1::Port& port = *block_->add_outputs();
    port.set_stream(stream_);
    port.set_value(value);
  }

  // An operation with one output of the given width.
  v1::Operation& Add(const std::string& name, const std::vector<std::uint32_t>& inputs,
                     std::uint32_t width, v1::RowKind rows = v1::ROW_KIND_TOKEN) {
    const std::uint32_t output = Value(name, width, rows);
    v1::Operation& op = *block_->add_operations();
    op.set_name(name);
    for (const std::uint32_t input : inputs) op.add_inputs(input);
    op.add_outputs(output);
    last_ = output;
    return op;
  }

  std::uint32_t Linear(const std::string& name, std::uint32_t input, std::uint32_t weight,
                       std::uint32_t outputs, std::uint32_t inputs,
                       v1::RowKind rows = v1::ROW_KIND_TOKEN) {
    const bool bias = model_.biases;
    const std::uint32_t bias_weight = bias ? Vector(name + ".bias", outputs, 0, 0.1F) : 0;
    v1::Linear& linear = *Add(name, {input}, outputs, rows).mutable_linear();
    linear.set_weight(weight);
    if (bias) linear.set_bias(bias_weight);
    linear.set_input_form(model_.input_form);
    for (std::uint32_t end = 32; end < inputs; end += 32) linear.add_segment_ends(end);
    linear.add_segment_ends(inputs);
    return last_;
  }

  std::uint32_t Norm(const std::string& name, std::uint32_t input, std::uint32_t width,
                     std::uint32_t groups, v1::RowKind rows = v1::ROW_KIND_TOKEN) {
    const std::uint32_t gain = Vector(name + ".gain", width / groups, 1, 0.3F);
    const bool layer = model_.norm == v1::Norm::KIND_LAYER;
    const std::uint32_t bias = layer ? Vector(name + ".bias", width / groups, 0, 0.1F) : 0;
    v1::Norm& norm = *Add(name, {input}, width, rows).mutable_norm();
    norm.set_kind(model_.norm);
    norm.set_epsilon(1e-5F);
    norm.set_groups(groups);
    norm.set_gain(gain);
    if (layer) norm.set_bias(bias);
    return last_;
  }

  std::uint32_t Combine(const std::string& name, v1::Arithmetic::Kind kind, std::uint32_t a,
                        std::uint32_t b) {
    Add(name, {a, b}, model_.width).mutable_arithmetic()->set_kind(kind);
    return last_;
  }

  std::uint32_t Rope(const std::string& name, std::uint32_t input, std::uint32_t heads,
                     std::uint32_t frequencies) {
    v1::Rope& rope = *Add(name, {input}, heads * model_.head_dim).mutable_rope();
    rope.set_style(model_.rope);
    rope.set_heads(heads);
    rope.set_head_dim(model_.head_dim);
    rope.set_dims(model_.head_dim / 2);
    rope.set_frequencies(frequencies);
    rope.set_magnitude(1);
    if (model_.long_from != 0) {
      rope.set_long_from(model_.long_from);
      rope.set_long_frequencies(long_frequencies_);
    }
    return last_;
  }

  void AddEmbed() {
    AddBlock("embed");
    v1::Embed& embed = *Add("ids", {}, model_.width).mutable_embed();
    embed.set_table(table_);
    embed.set_source(v1::Embed::SOURCE_ID);
    std::uint32_t value = last_;
    if (model_.learned_positions) {
      const std::uint32_t table = Matrix("positions", model_.context + 2, model_.width);
      v1::Embed& positions = *Add("positions", {}, model_.width).mutable_embed();
      positions.set_table(table);
      positions.set_source(v1::Embed::SOURCE_POSITION);
      positions.set_position_offset(2);
      value = Combine("sum", v1::Arithmetic::KIND_ADD, value, last_);
    }
    v1::Arithmetic& scale = *Add("scale", {value}, model_.width).mutable_arithmetic();
    scale.set_kind(v1::Arithmetic::KIND_SCALE);
    scale.set_scalar(1.5F);
    Leave(last_);
  }

  void AddAttention(std::uint32_t layer, std::uint32_t cache, std::uint32_t q, std::uint32_t k,
                    std::uint32_t v) {
    const std::uint32_t slopes =
        model_.slopes_and_sinks ? Vector("slopes", model_.heads, 0.1F, 0.05F) : 0;
    const std::uint32_t sinks = model_.slopes_and_sinks ? Vector("sinks", model_.heads, 0, 1) : 0;
    v1::Attention& attention =
        *Add("attention", {q, k, v}, model_.heads * model_.head_dim).mutable_attention();
    attention.set_cache(cache);
    attention.set_heads(model_.heads);
    attention.set_sees(v1::Attention::SEES_CAUSAL);
    attention.set_window(layer % 2 == 1 ? model_.window : 0);
    attention.set_scale(1 / std::sqrt(static_cast<float>(model_.head_dim)));
    attention.set_soft_cap(model_.soft_cap);
    attention.set_appends(true);
    if (model_.slopes_and_sinks) {
      attention.set_slopes(slopes);
      attention.set_sinks(sinks);
    }
  }

  void AddLayer(std::uint32_t layer) {
    const std::string name = "layer." + std::to_string(layer);
    AddBlock(name);
    v1::Cache& cache = *made_.program.add_caches();
    cache.set_name("kv." + std::to_string(layer));
    cache.mutable_key_value()->set_kv_heads(model_.kv_heads);
    cache.mutable_key_value()->set_key_dim(model_.head_dim);
    cache.mutable_key_value()->set_value_dim(model_.head_dim);
    cache.mutable_key_value()->set_encoding(model_.cache_encoding);
    if (layer == 0) frequencies_ = Frequencies("frequencies", 1000, 1);
    if (layer == 0 && model_.long_from != 0) {
      long_frequencies_ = Frequencies("long_frequencies", 3000, model_.long_rows);
    }
    const std::uint32_t hidden = Enter();
    const std::uint32_t q_width = model_.heads * model_.head_dim;
    const std::uint32_t kv_width = model_.kv_heads * model_.head_dim;
    const std::uint32_t n = Norm("attn_norm", hidden, model_.width, 1);
    const auto project = [&](const std::string& what, std::uint32_t outputs) {
      return Linear(what, n, Matrix(name + "." + what, outputs, model_.width), outputs,
                    model_.width);
    };
    const std::uint32_t q = project("q", q_width);
    const std::uint32_t k = project("k", kv_width);
    const std::uint32_t v = project("v", kv_width);
    const std::uint32_t q_norm = Norm("q_norm", q, q_width, model_.heads);
    const std::uint32_t q_rope = Rope("q_rope", q_norm, model_.heads, frequencies_);
    const std::uint32_t k_rope = Rope("k_rope", k, model_.kv_heads, frequencies_);
    AddAttention(layer, static_cast<std::uint32_t>(made_.program.caches_size() - 1), q_rope, k_rope,
                 v);
    const std::uint32_t out = Linear(
        "attn_out", last_, Matrix(name + ".out", model_.width, q_width), model_.width, q_width);
    const std::uint32_t h = Combine("attn_add", v1::Arithmetic::KIND_ADD, hidden, out);
    AddFeedForward(name, h);
  }

  void AddFeedForward(const std::string& name, std::uint32_t h) {
    const std::uint32_t m = Norm("ffn_norm", h, model_.width, 1);
    if (model_.moe.experts() > 0) {
      AddExperts(name, m);
      return Leave(Combine("ffn_add", v1::Arithmetic::KIND_ADD, h, last_));
    }
    const std::uint32_t gate =
        Linear("ffn_gate", m, Matrix(name + ".gate", model_.inner, model_.width), model_.inner,
               model_.width);
    const std::uint32_t up = Linear("ffn_up", m, Matrix(name + ".up", model_.inner, model_.width),
                                    model_.inner, model_.width);
    Add("ffn_act", {gate, up}, model_.inner).mutable_gate()->set_function(v1::FUNCTION_SILU);
    const std::uint32_t down =
        Linear("ffn_down", last_, Matrix(name + ".down", model_.width, model_.inner), model_.width,
               model_.inner);
    Leave(Combine("ffn_add", v1::Arithmetic::KIND_ADD, h, down));
  }

  // A stack in several weights: some experts together, the others alone.
  void AddStack(const std::string& name, std::uint32_t together, std::uint32_t outputs,
                std::uint32_t inputs, google::protobuf::RepeatedField<std::uint32_t>* stack) {
    if (together > 0) stack->Add(Matrices(name, {together, outputs, inputs}));
    for (std::uint32_t e = together; e < model_.moe.experts(); ++e) {
      stack->Add(Matrix(name + "." + std::to_string(e), outputs, inputs));
    }
  }

  std::uint32_t ExpertVectors(const std::string& name, std::uint32_t width) {
    const std::uint32_t experts = model_.moe.experts();
    return AddWeight(name, v1::ENCODING_F32, {experts, width},
                     Floats(std::size_t{experts} * width, 0, 0.1F));
  }

  void AddExperts(const std::string& name, std::uint32_t m) {
    const std::uint32_t experts = model_.moe.experts();
    const std::uint32_t logits =
        Linear("router", m,
               AddWeight(name + ".router", v1::ENCODING_F32, {experts, model_.width},
                         Floats(std::size_t{experts} * model_.width, 0, 0.3F)),
               experts, model_.width);
    block_->mutable_operations(block_->operations_size() - 1)
        ->mutable_linear()
        ->set_input_form(v1::INPUT_FORM_F32);
    v1::Moe moe = model_.moe;
    if (model_.expert_gates) {
      AddStack(name + ".gate", experts, model_.inner, model_.width, moe.mutable_gate());
    }
    AddStack(name + ".up", 0, model_.inner, model_.width, moe.mutable_up());
    AddStack(name + ".down", experts / 2, model_.width, model_.inner, moe.mutable_down());
    if (model_.biases) {
      if (model_.expert_gates) {
        moe.set_gate_bias(ExpertVectors(name + ".gate_bias", model_.inner));
      }
      moe.set_up_bias(ExpertVectors(name + ".up_bias", model_.inner));
      moe.set_down_bias(ExpertVectors(name + ".down_bias", model_.width));
    }
    if (model_.selection_bias) {
      moe.set_selection_bias(Vector(name + ".selection_bias", experts, 0, 0.2F));
    }
    if (model_.expert_scale) moe.set_expert_scale(Vector(name + ".scale", experts, 1, 0.2F));
    moe.set_input_form(model_.input_form);
    moe.set_inner_form(model_.input_form);
    for (std::uint32_t end = 32; end < model_.width; end += 32) moe.add_width_segment_ends(end);
    moe.add_width_segment_ends(model_.width);
    for (std::uint32_t end = 32; end < model_.inner; end += 32) moe.add_inner_segment_ends(end);
    moe.add_inner_segment_ends(model_.inner);
    *Add("experts", {m, logits}, model_.width).mutable_moe() = moe;
  }

  // The base of each row is twice that of the row before.
  std::uint32_t Frequencies(const std::string& name, double base, std::uint32_t rows) {
    const std::uint32_t pairs = model_.head_dim / 4;
    std::vector<std::byte> bytes(std::size_t{rows} * pairs * sizeof(float));
    for (std::uint32_t i = 0; i < rows * pairs; ++i) {
      const std::uint32_t row = i / pairs;
      const double own = base * std::pow(2.0, row);
      const float f = static_cast<float>(std::pow(own, -4.0 * (i % pairs) / model_.head_dim));
      std::memcpy(bytes.data() + i * sizeof(float), &f, sizeof(f));
    }
    std::vector<std::uint64_t> shape = {pairs};
    if (rows > 1) shape.insert(shape.begin(), rows);
    const std::uint32_t index = AddWeight(name, v1::ENCODING_F32, shape, bytes);
    made_.program.mutable_weights(static_cast<int>(index))
        ->set_data(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return index;
  }

  void AddHead() {
    AddBlock("head");
    const std::uint32_t hidden = Enter();
    Add("outputs", {hidden}, model_.width, v1::ROW_KIND_OUTPUT)
        .mutable_gather()
        ->set_kind(v1::Gather::KIND_OUTPUTS);
    const std::uint32_t n = Norm("norm", last_, model_.width, 1, v1::ROW_KIND_OUTPUT);
    std::uint32_t logits =
        Linear("logits", n, table_, model_.vocabulary, model_.width, v1::ROW_KIND_OUTPUT);
    if (model_.soft_cap > 0) {
      v1::Arithmetic& cap =
          *Add("cap", {logits}, model_.vocabulary, v1::ROW_KIND_OUTPUT).mutable_arithmetic();
      cap.set_kind(v1::Arithmetic::KIND_SOFT_CAP);
      cap.set_scalar(model_.soft_cap);
      logits = last_;
    }
    v1::Operation& sample = *block_->add_operations();
    sample.set_name("sample");
    sample.add_inputs(logits);
    sample.mutable_sample();
  }

  SmallModel model_;
  std::mt19937 random_;
  SmallProgram made_;
  v1::Block* block_ = nullptr;
  std::uint32_t table_ = 0;
  std::uint32_t frequencies_ = 0;
  std::uint32_t long_frequencies_ = 0;
  std::uint32_t stream_ = 0;
  std::uint32_t last_ = 0;
};

// Two of six experts, chosen after a softmax.
inline v1::Moe SmallExperts() {
  v1::Moe moe;
  moe.set_experts(6);
  moe.set_experts_per_row(2);
  moe.set_score(v1::Moe::SCORE_SOFTMAX_THEN_TOP);
  moe.set_scale(1);
  moe.set_function(v1::FUNCTION_SILU);
  moe.set_sum_groups(6);
  return moe;
}

inline SmallProgram MakeSmallProgram(const SmallModel& model = {}) {
  return SmallProgramBuilder(model).Build();
}

}  // namespace bramble::testing
