// A program run in double precision, one whole sequence at once, without caches, quantized inputs
// or any kernel: what the executor is compared with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "kernels/encodings/encoding.h"

namespace bramble::worker::testing {

using Matrix = std::vector<std::vector<double>>;

class Reference {
 public:
  Reference(const v1::Program& program, const std::map<std::string, std::vector<std::byte>>& bytes)
      : program_(program), bytes_(bytes) {}

  // The value that `sample` reads, for every position. The first `prompt` ids are the prompt; 0:
  // all.
  Matrix Logits(const std::vector<std::uint32_t>& ids, std::size_t prompt = 0) {
    ids_ = ids;
    prompt_ = prompt == 0 ? ids.size() : prompt;
    std::map<std::uint32_t, Matrix> streams;
    Matrix logits;
    for (const v1::Block& block : program_.blocks()) {
      std::vector<Matrix> values(static_cast<std::size_t>(block.values_size()));
      for (const v1::Port& port : block.inputs()) values[port.value()] = streams[port.stream()];
      for (const v1::Operation& op : block.operations()) {
        std::vector<Matrix> in;
        for (const std::uint32_t value : op.inputs()) in.push_back(values[value]);
        if (op.has_sample()) {
          logits = in[0];
        } else {
          values[op.outputs(0)] = Run(op, in);
        }
      }
      for (const v1::Port& port : block.outputs()) streams[port.stream()] = values[port.value()];
    }
    return logits;
  }

 private:
  std::vector<float> Numbers(std::uint32_t index) const {
    const v1::Weight& weight = program_.weights(static_cast<int>(index));
    const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(weight.encoding()));
    std::size_t count = 1;
    for (const std::uint64_t n : weight.shape()) count *= n;
    std::vector<float> numbers(count);
    info.decode(bytes_.at(weight.sha256()).data(), count / info.block_values, numbers.data());
    return numbers;
  }

  Matrix Run(const v1::Operation& op, const std::vector<Matrix>& in) const {
    switch (op.kind_case()) {
      case v1::Operation::kEmbed:
        return Embed(op.embed());
      case v1::Operation::kLinear:
        return Linear(op.linear(), in[0]);
      case v1::Operation::kNorm:
        return Norm(op.norm(), in[0]);
      case v1::Operation::kRope:
        return Rope(op.rope(), in[0]);
      case v1::Operation::kAttention:
        return Attention(op.attention(), in);
      case v1::Operation::kGate:
        return Each(in[0], [&](double a, std::size_t r, std::size_t i) {
          return Apply(op.gate().function(), a) * in[1][r][i];
        });
      case v1::Operation::kMoe:
        return Experts(op.moe(), in);
      case v1::Operation::kArithmetic:
        return Arithmetic(op.arithmetic(), in);
      case v1::Operation::kGather:
        if (op.gather().has_columns()) return Permute(Numbers(op.gather().columns()), in[0]);
        return in[0];  // gather(outputs): every row has one here
      default:
        return in[0];
    }
  }

  template <typename F>
  static Matrix Each(Matrix x, const F& f) {
    for (std::size_t r = 0; r < x.size(); ++r) {
      for (std::size_t i = 0; i < x[r].size(); ++i) x[r][i] = f(x[r][i], r, i);
    }
    return x;
  }

  static Matrix Permute(const std::vector<float>& columns, const Matrix& x) {
    return Each(x, [&](double, std::size_t r, std::size_t i) {
      return x[r][static_cast<std::size_t>(columns[i])];
    });
  }

  Matrix Embed(const v1::Embed& embed) const {
    const std::vector<float> table = Numbers(embed.table());
    const std::size_t width = program_.weights(static_cast<int>(embed.table())).shape(1);
    Matrix y(ids_.size(), std::vector<double>(width));
    for (std::size_t r = 0; r < ids_.size(); ++r) {
      const std::size_t entry =
          embed.source() == v1::Embed::SOURCE_ID ? ids_[r] : r + embed.position_offset();
      for (std::size_t i = 0; i < width; ++i) y[r][i] = table[entry * width + i];
    }
    return y;
  }

  Matrix Linear(const v1::Linear& linear, const Matrix& x) const {
    const std::vector<float> w = Numbers(linear.weight());
    const std::size_t outputs = program_.weights(static_cast<int>(linear.weight())).shape(0);
    const std::vector<float> bias =
        linear.has_bias() ? Numbers(linear.bias()) : std::vector<float>(outputs);
    Matrix y(x.size(), std::vector<double>(outputs));
    for (std::size_t r = 0; r < x.size(); ++r) {
      for (std::size_t o = 0; o < outputs; ++o) {
        double sum = bias[o];
        for (std::size_t i = 0; i < x[r].size(); ++i) sum += x[r][i] * w[o * x[r].size() + i];
        y[r][o] = sum;
      }
    }
    return y;
  }

  Matrix Norm(const v1::Norm& norm, Matrix x) const {
    const std::vector<float> gain = Numbers(norm.gain());
    for (std::vector<double>& row : x) {
      const std::size_t width = row.size() / norm.groups();
      for (std::size_t g = 0; g < norm.groups(); ++g) {
        double* v = row.data() + g * width;
        double mean = 0;
        if (norm.kind() == v1::Norm::KIND_LAYER) {
          for (std::size_t i = 0; i < width; ++i) mean += v[i] / static_cast<double>(width);
        }
        double square = 0;
        for (std::size_t i = 0; i < width; ++i) square += (v[i] - mean) * (v[i] - mean);
        const double scale = 1 / std::sqrt(square / static_cast<double>(width) + norm.epsilon());
        for (std::size_t i = 0; i < width; ++i) v[i] = (v[i] - mean) * scale * gain[i];
        if (!norm.has_bias()) continue;
        const std::vector<float> bias = Numbers(norm.bias());
        for (std::size_t i = 0; i < width; ++i) v[i] += bias[i];
      }
    }
    return x;
  }

  Matrix Rope(const v1::Rope& rope, Matrix x) const {
    const std::vector<float> short_ones = Numbers(rope.frequencies());
    const std::vector<float> long_ones =
        rope.has_long_frequencies() ? Numbers(rope.long_frequencies()) : short_ones;
    const bool half = rope.style() == v1::Rope::STYLE_HALF;
    const std::size_t pairs = rope.dims() / 2;
    for (std::size_t r = 0; r < x.size(); ++r) {
      const std::size_t length = std::max(prompt_, r + 1);
      std::vector<float> frequencies = short_ones;
      if (rope.long_from() != 0 && length > rope.long_from()) {
        const std::size_t row = std::min(length - rope.long_from(), long_ones.size() / pairs) - 1;
        frequencies.assign(long_ones.begin() + static_cast<std::ptrdiff_t>(row * pairs),
                           long_ones.begin() + static_cast<std::ptrdiff_t>((row + 1) * pairs));
      }
      for (std::size_t h = 0; h < rope.heads(); ++h) {
        for (std::size_t i = 0; i < pairs; ++i) {
          double& a = x[r][h * rope.head_dim() + (half ? i : 2 * i)];
          double& b = x[r][h * rope.head_dim() + (half ? i + pairs : 2 * i + 1)];
          const double angle = static_cast<double>(r) * double{frequencies[i]};
          const double old = a;
          a = old * std::cos(angle) - b * std::sin(angle);
          b = old * std::sin(angle) + b * std::cos(angle);
        }
      }
    }
    return x;
  }

  Matrix Attention(const v1::Attention& attention, const std::vector<Matrix>& in) const {
    const v1::KeyValueCache& kv = program_.caches(static_cast<int>(attention.cache())).key_value();
    const std::size_t group = attention.heads() / kv.kv_heads();
    Matrix y(in[0].size(), std::vector<double>(std::size_t{attention.heads()} * kv.value_dim()));
    for (std::size_t r = 0; r < y.size(); ++r) {
      for (std::size_t h = 0; h < attention.heads(); ++h) {
        const std::vector<double> p = Weights(attention, kv, in, r, h, h / group);
        for (std::size_t s = 0; s < p.size(); ++s) {
          for (std::size_t i = 0; i < kv.value_dim(); ++i) {
            y[r][h * kv.value_dim() + i] += p[s] * in[2][s][h / group * kv.value_dim() + i];
          }
        }
      }
    }
    return y;
  }

  // Of row r over the positions 0 .. r.
  std::vector<double> Weights(const v1::Attention& attention, const v1::KeyValueCache& kv,
                              const std::vector<Matrix>& in, std::size_t r, std::size_t h,
                              std::size_t kv_head) const {
    std::vector<double> p(r + 1);
    double total = attention.has_sinks() ? std::exp(double{Numbers(attention.sinks())[h]}) : 0;
    for (std::size_t s = 0; s <= r; ++s) {
      if (attention.window() != 0 && r - s >= attention.window()) continue;
      double score = 0;
      for (std::size_t i = 0; i < kv.key_dim(); ++i) {
        score += in[0][r][h * kv.key_dim() + i] * in[1][s][kv_head * kv.key_dim() + i];
      }
      score *= attention.scale();
      if (attention.soft_cap() > 0) {
        score = attention.soft_cap() * std::tanh(score / attention.soft_cap());
      }
      if (attention.has_slopes()) {
        score += Numbers(attention.slopes())[h] * (static_cast<double>(s) - static_cast<double>(r));
      }
      p[s] = std::exp(score);
      total += p[s];
    }
    for (double& weight : p) weight /= total;
    return p;
  }

  static double Apply(v1::Function function, double x) {
    switch (function) {
      case v1::FUNCTION_SILU:
        return x / (1 + std::exp(-x));
      case v1::FUNCTION_GELU_QUICK:
        return x / (1 + std::exp(-1.702 * x));
      default:  // relu squared
        return x < 0 ? 0 : x * x;
    }
  }

  // The experts' matrices of a stack, one behind the other.
  std::vector<float> StackNumbers(
      const google::protobuf::RepeatedField<std::uint32_t>& stack) const {
    std::vector<float> all;
    for (const std::uint32_t weight : stack) {
      const std::vector<float> own = Numbers(weight);
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

  Matrix Experts(const v1::Moe& moe, const std::vector<Matrix>& in) const {
    const Stacks stacks{StackNumbers(moe.gate()), StackNumbers(moe.up()), StackNumbers(moe.down())};
    Matrix y(in[0].size(), std::vector<double>(in[0][0].size()));
    for (std::size_t r = 0; r < y.size(); ++r) {
      for (const auto& [e, weight] : Route(moe, in[1][r])) {
        const std::vector<double> own = Expert(moe, stacks, e, in[0][r]);
        for (std::size_t i = 0; i < own.size(); ++i) y[r][i] += weight * own[i];
      }
    }
    return y;
  }

  struct Stacks {
    std::vector<float> gate;
    std::vector<float> up;
    std::vector<float> down;
  };

  static std::vector<double> Product(const std::vector<float>& matrices, std::size_t e,
                                     const std::vector<double>& x, std::vector<double> y) {
    const float* w = matrices.data() + e * x.size() * y.size();
    for (std::size_t o = 0; o < y.size(); ++o) {
      for (std::size_t i = 0; i < x.size(); ++i) y[o] += x[i] * w[o * x.size() + i];
    }
    return y;
  }

  // Row e of a table, or zeros.
  std::vector<double> RowOf(bool has, std::uint32_t weight, std::size_t e,
                            std::size_t width) const {
    std::vector<double> row(width);
    if (!has) return row;
    const std::vector<float> table = Numbers(weight);
    for (std::size_t i = 0; i < width; ++i) row[i] = table[e * width + i];
    return row;
  }

  std::vector<double> Expert(const v1::Moe& moe, const Stacks& stacks, std::size_t e,
                             const std::vector<double>& x) const {
    const std::size_t inner = stacks.up.size() / moe.experts() / x.size();
    std::vector<double> up =
        Product(stacks.up, e, x, RowOf(moe.has_up_bias(), moe.up_bias(), e, inner));
    if (moe.gate_size() > 0) {
      std::vector<double> gate =
          Product(stacks.gate, e, x, RowOf(moe.has_gate_bias(), moe.gate_bias(), e, inner));
      const double limit = moe.limit() == 0 ? HUGE_VAL : double{moe.limit()};
      for (std::size_t i = 0; i < inner; ++i) {
        up[i] = Apply(moe.function(), std::min(gate[i], limit)) *
                (std::clamp(up[i], -limit, limit) + moe.offset());
      }
    } else {
      for (double& value : up) value = Apply(moe.function(), value);
    }
    return Product(stacks.down, e, up, RowOf(moe.has_down_bias(), moe.down_bias(), e, x.size()));
  }

  using Chosen = std::map<std::size_t, double>;  // weights by expert

  Chosen Route(const v1::Moe& moe, const std::vector<double>& logits) const {
    std::vector<double> scores = logits;
    if (moe.score() == v1::Moe::SCORE_SIGMOID) {
      for (double& score : scores) score = 1 / (1 + std::exp(-score));
    }
    if (moe.score() == v1::Moe::SCORE_SOFTMAX_THEN_TOP) scores = Softmax(scores);
    std::vector<double> compared = scores;
    if (moe.has_selection_bias()) {
      const std::vector<float> bias = Numbers(moe.selection_bias());
      for (std::size_t e = 0; e < compared.size(); ++e) compared[e] += bias[e];
    }
    if (moe.groups() > 0) KeepGroups(moe, &compared);
    Chosen chosen;
    for (std::uint32_t j = 0; j < moe.experts_per_row(); ++j) {
      const std::size_t best = static_cast<std::size_t>(
          std::max_element(compared.begin(), compared.end()) - compared.begin());
      chosen[best] = moe.score() == v1::Moe::SCORE_THRESHOLD
                         ? Share(moe.threshold(), compared, logits, best)
                         : scores[best];
      compared[best] = -HUGE_VAL;
    }
    Weigh(moe, &chosen);
    return chosen;
  }

  static std::vector<double> Softmax(std::vector<double> x) {
    double total = 0;
    for (const double value : x) total += std::exp(value);
    for (double& value : x) value = std::exp(value) / total;
    return x;
  }

  static double Share(double threshold, const std::vector<double>& compared,
                      const std::vector<double>& logits, std::size_t best) {
    double total = 0;
    for (std::size_t e = 0; e < logits.size(); ++e) {
      const double distance =
          (logits[best] - logits[e]) / std::max(std::fabs(logits[e]), logits[best]);
      if (compared[e] == -HUGE_VAL || distance > threshold) continue;
      total += std::exp(logits[e] - logits[best]);
    }
    return 1 / total;
  }

  static void KeepGroups(const v1::Moe& moe, std::vector<double>* compared) {
    const std::size_t size = compared->size() / moe.groups();
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t g = 0; g < moe.groups(); ++g) {
      std::vector<double> own(compared->begin() + static_cast<std::ptrdiff_t>(g * size),
                              compared->begin() + static_cast<std::ptrdiff_t>((g + 1) * size));
      std::sort(own.rbegin(), own.rend());
      const bool two = moe.group_score() == v1::Moe::GROUP_SCORE_TOP_TWO && size > 1;
      order.emplace_back(-(own[0] + (two ? own[1] : 0)), g);
    }
    std::sort(order.begin(), order.end());
    for (std::size_t i = moe.groups_per_row(); i < order.size(); ++i) {
      for (std::size_t e = 0; e < size; ++e) (*compared)[order[i].second * size + e] = -HUGE_VAL;
    }
  }

  void Weigh(const v1::Moe& moe, Chosen* chosen) const {
    double total = 0;
    if (moe.score() == v1::Moe::SCORE_TOP_THEN_SOFTMAX) {
      for (auto& [e, weight] : *chosen) total += weight = std::exp(weight);
    } else {
      for (const auto& [e, weight] : *chosen) total += weight;
      if (!moe.renormalize()) total = 1;
    }
    for (auto& [e, weight] : *chosen) {
      weight *= moe.scale() / total;
      if (moe.has_expert_scale()) weight *= Numbers(moe.expert_scale())[e];
    }
  }

  static Matrix Arithmetic(const v1::Arithmetic& arithmetic, const std::vector<Matrix>& in) {
    const double scalar = arithmetic.scalar();
    return Each(in[0], [&](double a, std::size_t r, std::size_t i) {
      switch (arithmetic.kind()) {
        case v1::Arithmetic::KIND_ADD:
          return a + in[1][r][i];
        case v1::Arithmetic::KIND_SCALE:
          return a * scalar;
        default:
          return scalar * std::tanh(a / scalar);
      }
    });
  }

  const v1::Program& program_;
  const std::map<std::string, std::vector<std::byte>>& bytes_;
  std::vector<std::uint32_t> ids_;
  std::size_t prompt_ = 0;
};

}  // namespace bramble::worker::testing
