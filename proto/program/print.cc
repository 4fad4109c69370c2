#include "proto/program/print.h"

#include <iomanip>
#include <sstream>

#include "proto/program/moe.h"
#include "proto/program/references.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

// "KIND_RMS" -> "rms".
std::string Lower(std::string name, std::string_view prefix) {
  if (name.rfind(prefix, 0) == 0) name.erase(0, prefix.size());
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

class Printer {
 public:
  explicit Printer(const v1::Program& program) : program_(program) {}

  std::string Print() {
    out_ << "program " << Printable(program_.name(), "", 0) << ": version " << program_.version()
         << ", context " << program_.context_length() << ", vocabulary "
         << program_.vocabulary_size() << ", " << program_.blocks_size() << " blocks, "
         << program_.weights_size() << " weights\n";
    for (int b = 0; b < program_.blocks_size();) {
      const int alike = CountAlike(b);
      PrintBlock(b, alike);
      b += alike;
    }
    return std::move(out_).str();
  }

 private:
  // Blocks from `first` on that are the same but for names, weights, streams and caches.
  int CountAlike(int first) const {
    const std::string pattern = Pattern(program_.blocks(first));
    int end = first + 1;
    while (end < program_.blocks_size() && Pattern(program_.blocks(end)) == pattern) ++end;
    return end - first;
  }

  std::string Pattern(const v1::Block& block) const {
    v1::Block copy = block;
    copy.clear_name();
    for (v1::Port& port : *copy.mutable_inputs()) port.set_stream(0);
    for (v1::Port& port : *copy.mutable_outputs()) port.set_stream(0);
    std::string shapes;
    for (v1::Operation& op : *copy.mutable_operations()) {
      MapWeights(op, [&](std::uint32_t weight) {
        const v1::Weight& w = program_.weights(static_cast<int>(weight));
        shapes += std::to_string(w.encoding());
        shapes += ShapeText(w);
        return 0U;
      });
      MapCaches(op, [](std::uint32_t) { return 0U; });
    }
    return copy.SerializeAsString() + shapes;
  }

  void PrintBlock(int index, int alike) {
    const v1::Block& block = program_.blocks(index);
    out_ << "block " << Printable(block.name(), "block", static_cast<std::size_t>(index));
    if (alike > 1) {
      const auto last = static_cast<std::size_t>(index + alike - 1);
      out_ << " .. " << Printable(program_.blocks(static_cast<int>(last)).name(), "block", last)
           << " (" << alike << " alike)";
    }
    out_ << ": " << Streams(block.inputs()) << " -> " << Streams(block.outputs()) << "\n";
    for (int i = 0; i < block.operations_size(); ++i) PrintOperation(block, i);
  }

  template <typename Ports>
  std::string Streams(const Ports& ports) const {
    if (ports.empty()) return "()";
    std::string text;
    for (const v1::Port& port : ports) {
      if (!text.empty()) text += ", ";
      text += Printable(program_.streams(static_cast<int>(port.stream())).name(), "stream",
                        port.stream());
    }
    return text;
  }

  template <typename Indices>
  static std::string Values(const v1::Block& block, const Indices& indices) {
    if (indices.empty()) return "()";
    std::string text;
    for (const std::uint32_t index : indices) {
      if (!text.empty()) text += ", ";
      text += Printable(block.values(static_cast<int>(index)).name(), "value", index);
    }
    return text;
  }

  void PrintOperation(const v1::Block& block, int index) {
    const v1::Operation& op = block.operations(index);
    out_ << "  " << std::left << std::setw(14)
         << Printable(op.name(), "operation", static_cast<std::size_t>(index)) << "  "
         << std::setw(60) << Describe(op) << "  " << Values(block, op.inputs()) << " -> "
         << Values(block, op.outputs()) << "\n";
  }

  std::string WeightText(std::uint32_t index) const {
    const v1::Weight& weight = program_.weights(static_cast<int>(index));
    return Printable(weight.name(), "weight", index) + " " + FindEncoding(weight.encoding())->name +
           " " + ShapeText(weight);
  }

  std::string Describe(const v1::Operation& op) const {
    std::ostringstream text;
    switch (op.kind_case()) {
      case v1::Operation::kEmbed:
        text << "embed(" << Lower(v1::Embed::Source_Name(op.embed().source()), "SOURCE_") << ", "
             << WeightText(op.embed().table());
        if (op.embed().position_offset() != 0) text << ", offset " << op.embed().position_offset();
        break;
      case v1::Operation::kLinear:
        text << "linear(" << WeightText(op.linear().weight())
             << (op.linear().has_bias() ? ", bias" : "")
             << (op.linear().input_form() == v1::INPUT_FORM_A8_32 ? ", a8/32, " : ", f32, ")
             << op.linear().segment_ends_size() << " segments";
        break;
      case v1::Operation::kNorm:
        text << "norm(" << Lower(v1::Norm::Kind_Name(op.norm().kind()), "KIND_") << ", eps "
             << op.norm().epsilon();
        if (op.norm().groups() > 1) text << ", " << op.norm().groups() << " groups";
        if (op.norm().has_gain()) text << ", gain " << WeightText(op.norm().gain());
        if (op.norm().has_bias()) text << ", bias";
        break;
      case v1::Operation::kRope:
        text << "rope(" << Lower(v1::Rope::Style_Name(op.rope().style()), "STYLE_") << ", "
             << op.rope().heads() << " heads of " << op.rope().head_dim() << ", "
             << op.rope().dims() << " turn";
        if (op.rope().first() > 0) text << " from " << op.rope().first();
        if (op.rope().long_from() > 0) text << ", others beyond " << op.rope().long_from();
        break;
      case v1::Operation::kAttention:
        text << AttentionText(op.attention());
        break;
      case v1::Operation::kActivation:
        text << Lower(v1::Function_Name(op.activation().function()), "FUNCTION_") << "(";
        break;
      case v1::Operation::kGate:
        text << "gate(" << Lower(v1::Function_Name(op.gate().function()), "FUNCTION_");
        break;
      case v1::Operation::kArithmetic:
        text << Lower(v1::Arithmetic::Kind_Name(op.arithmetic().kind()), "KIND_") << "(";
        if (op.arithmetic().kind() >= v1::Arithmetic::KIND_SCALE) text << op.arithmetic().scalar();
        break;
      case v1::Operation::kGather:
        text << "gather(" << Lower(v1::Gather::Kind_Name(op.gather().kind()), "KIND_");
        if (op.gather().kind() == v1::Gather::KIND_SLICE) text << " from " << op.gather().from();
        break;
      case v1::Operation::kConvolution:
        text << "convolution("
             << Lower(v1::Convolution::Kind_Name(op.convolution().kind()), "KIND_") << ", "
             << WeightText(op.convolution().weight())
             << (op.convolution().has_bias() ? ", bias" : "");
        break;
      case v1::Operation::kPool:
        text << "pool(" << Lower(v1::Pool::Kind_Name(op.pool().kind()), "KIND_");
        break;
      case v1::Operation::kRecurrence:
        text << "recurrence(" << Lower(v1::Recurrence::Kind_Name(op.recurrence().kind()), "KIND_");
        if (op.recurrence().heads() != 0) {
          text << ", " << op.recurrence().heads() << " heads, state "
               << op.recurrence().state_size();
        }
        break;
      case v1::Operation::kMoe:
        text << MoeText(op.moe());
        break;
      case v1::Operation::kMeet:
        text << "meet(" << op.meet().number() << ", member " << op.meet().member() << " of "
             << op.meet().columns_size()
             << (op.meet().form() == v1::INPUT_FORM_A8_32 ? ", a8/32" : ", f32");
        break;
      case v1::Operation::kSample:
        text << "sample(";
        if (op.sample().limit() != 0) text << "ids below " << op.sample().limit();
        break;
      default:
        text << "?(";
    }
    return text.str() + ")";
  }

  std::string MoeText(const v1::Moe& moe) const {
    const MoeShape shape = ShapeOf(program_, moe);
    std::ostringstream text;
    text << "moe(" << moe.experts_per_row() << " of " << moe.experts() << " experts, "
         << Lower(v1::Moe::Score_Name(moe.score()), "SCORE_");
    if (moe.groups() > 0) {
      text << ", " << moe.groups_per_row() << " of " << moe.groups() << " groups by "
           << Lower(v1::Moe::GroupScore_Name(moe.group_score()), "GROUP_SCORE_");
    }
    if (moe.has_selection_bias()) text << ", bias";
    if (moe.renormalize()) text << ", renormalized";
    if (moe.scale() != 1) text << ", scale " << moe.scale();
    text << ", " << (moe.gate_size() > 0 ? "gate " : "")
         << Lower(v1::Function_Name(moe.function()), "FUNCTION_");
    text << ", " << FindEncoding(program_.weights(static_cast<int>(moe.up(0))).encoding())->name
         << " [" << shape.inner << ", " << shape.width << "], "
         << FindEncoding(program_.weights(static_cast<int>(moe.down(0))).encoding())->name
         << (moe.input_form() == v1::INPUT_FORM_A8_32 ? ", a8/32" : ", f32");
    return text.str();
  }

  std::string AttentionText(const v1::Attention& attention) const {
    const v1::Cache& cache = program_.caches(static_cast<int>(attention.cache()));
    std::ostringstream text;
    text << "attention(cache " << Printable(cache.name(), "cache", attention.cache()) << " "
         << Lower(v1::Encoding_Name(cache.key_value().encoding()), "ENCODING_") << ", "
         << attention.heads() << " heads over " << cache.key_value().kv_heads() << ", "
         << Lower(v1::Attention::Sees_Name(attention.sees()), "SEES_");
    if (attention.window() != 0) text << ", window " << attention.window();
    text << ", scale " << attention.scale();
    if (attention.soft_cap() != 0) text << ", cap " << attention.soft_cap();
    if (attention.has_slopes()) text << ", slopes";
    if (attention.has_bucket_bias()) text << ", buckets";
    if (attention.has_sinks()) text << ", sinks";
    if (!attention.appends()) text << ", reads only";
    return text.str();
  }

  const v1::Program& program_;
  std::ostringstream out_;
};

}  // namespace

std::string PrintProgram(const v1::Program& program) { return Printer(program).Print(); }

}  // namespace bramble::program
