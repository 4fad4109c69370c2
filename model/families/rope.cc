#include "model/families/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr double kMostBase = 1e15;
constexpr double kMostFactor = 1e6;
constexpr double kMostPositions = 1e9;

// Llama 3.1: low frequencies are divided by the factor, high ones stay, those between are mixed.
double Llama3(double frequency, const RopeScaling& s) {
  const double turns = s.original_positions * frequency / (2 * std::numbers::pi);
  if (turns < s.low_frequency_factor) return frequency / s.factor;
  if (turns > s.high_frequency_factor) return frequency;
  const double smooth =
      (turns - s.low_frequency_factor) / (s.high_frequency_factor - s.low_frequency_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

// YaRN (https://arxiv.org/abs/2309.00071): the pairs between those that turn beta_fast and
// beta_slow times within the original length are a mixture of the divided and the original
// frequency.
double Yarn(double frequency, double pair, double base, double dims, const RopeScaling& s) {
  const auto pair_of_turns = [&](double turns) {
    return dims * std::log(s.original_positions / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(base));
  };
  double low = pair_of_turns(s.beta_fast);
  double high = pair_of_turns(s.beta_slow);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, dims - 1);
  if (low == high) high += 0.001;
  const double divided = std::clamp((pair - low) / (high - low), 0.0, 1.0);
  return frequency / s.factor * divided + frequency * (1 - divided);
}

double YarnMagnitude(double factor, double scale) {
  return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

// Where config.json keeps the parameters: one of the objects that have been used for it.
std::string HfPrefix(const Fields& fields, std::string_view layer_type) {
  std::string nested = "rope_parameters." + std::string(layer_type) + ".";
  if (fields.Has({"", nested + "rope_theta"}) || fields.Has({"", nested + "rope_type"}))
    return nested;
  if (fields.Has({"", "rope_parameters.rope_theta"}) ||
      fields.Has({"", "rope_parameters.rope_type"})) {
    return "rope_parameters.";
  }
  return "rope_scaling.";
}

// Key pairs are made of parts here, and a Key only points to its text.
class RopeReader {
 public:
  RopeReader(Fields* fields, std::string_view layer_type, double context_length)
      : fields_(*fields), prefix_(HfPrefix(*fields, layer_type)), context_length_(context_length) {}

  double Base(double if_missing) {
    const std::string own = prefix_ + "rope_theta";
    const bool has_own = fields_.Has({"", own});
    return fields_.Real({"rope.freq_base", has_own ? std::string_view(own) : "rope_theta"}, 1,
                        kMostBase, if_missing);
  }

  RopeScaling Scaling() {
    RopeScaling scaling;
    const std::string type = Type();
    if (type == "none" || type == "default") return scaling;
    if (type == "linear") {
      scaling.kind = RopeScaling::Kind::kLinear;
      scaling.factor = Real("rope.scaling.factor", "factor", kMostFactor);
    } else if (type == "llama3") {
      ReadLlama3(&scaling);
    } else if (type == "yarn") {
      ReadYarn(&scaling);
    } else if (type == "dynamic") {
      scaling.kind = RopeScaling::Kind::kDynamic;
    } else {
      fields_.Refuse(Unimplemented(Place(), " asks for the rotary scaling ", files::Quote(type),
                                   "; known: linear, llama3, yarn, dynamic"));
    }
    return scaling;
  }

 private:
  std::string Type() {
    const std::string type = prefix_ + "type";
    const std::string rope_type = prefix_ + "rope_type";
    const bool old_name = !fields_.Has({"", rope_type});
    return fields_.Text({"rope.scaling.type", old_name ? type : rope_type},
                        Linear() ? "linear" : "none");
  }

  // Old GGUF files have only `rope.scale_linear`, or a factor without a type.
  bool Linear() const { return fields_.Has({"rope.scaling.factor", ""}); }

  std::string Place() const { return fields_.Place({"rope.scaling.type", prefix_ + "rope_type"}); }

  double Real(std::string_view gguf, std::string_view hf, double most) {
    return fields_.Real({gguf, prefix_ + std::string(hf)}, 0, most);
  }
  double Real(std::string_view gguf, std::string_view hf, double most, double if_missing) {
    return fields_.Real({gguf, prefix_ + std::string(hf)}, 0, most, if_missing);
  }

  void ReadLlama3(RopeScaling* s) {
    s->kind = RopeScaling::Kind::kLlama3;
    s->factor = Real("rope.scaling.factor", "factor", kMostFactor);
    s->low_frequency_factor = Real("", "low_freq_factor", kMostFactor);
    s->high_frequency_factor = Real("", "high_freq_factor", kMostFactor);
    s->original_positions = Real("rope.scaling.original_context_length",
                                 "original_max_position_embeddings", kMostPositions);
    if (s->high_frequency_factor <= s->low_frequency_factor) {
      fields_.Refuse(Invalid(Place(), ": high_freq_factor must be above low_freq_factor"));
    }
  }

  void ReadYarn(RopeScaling* s) {
    s->kind = RopeScaling::Kind::kYarn;
    s->factor = Real("rope.scaling.factor", "factor", kMostFactor);
    s->original_positions =
        Real("rope.scaling.original_context_length", "original_max_position_embeddings",
             kMostPositions, context_length_);
    s->beta_fast = Real("rope.scaling.yarn_beta_fast", "beta_fast", kMostFactor, 32);
    s->beta_slow = Real("rope.scaling.yarn_beta_slow", "beta_slow", kMostFactor, 1);
    s->truncate = fields_.Flag({"", prefix_ + "truncate"}, true);
    const double own = YarnMagnitude(s->factor, 1);
    if (!fields_.is_hf()) {
      s->magnitude = own * Real("rope.scaling.attn_factor", "", kMostFactor, 1);
      return;
    }
    s->magnitude = fields_.OptionalReal({"", prefix_ + "attention_factor"}, kMostFactor);
    if (s->magnitude > 0) return;
    const double scale = fields_.OptionalReal({"", prefix_ + "mscale"}, kMostFactor);
    const double all = fields_.OptionalReal({"", prefix_ + "mscale_all_dim"}, kMostFactor);
    s->magnitude = scale > 0 && all > 0
                       ? YarnMagnitude(s->factor, scale) / YarnMagnitude(s->factor, all)
                       : own;
  }

  Fields& fields_;
  std::string prefix_;
  double context_length_;
};

}  // namespace

std::vector<float> RopeFrequencies(double base, std::uint32_t dims, const RopeScaling& scaling) {
  std::vector<float> frequencies(dims / 2);
  for (std::uint32_t i = 0; i < dims / 2; ++i) {
    double frequency = std::pow(base, -2.0 * i / dims);
    switch (scaling.kind) {
      case RopeScaling::Kind::kLinear:
        frequency /= scaling.factor;
        break;
      case RopeScaling::Kind::kLlama3:
        frequency = Llama3(frequency, scaling);
        break;
      case RopeScaling::Kind::kYarn:
        frequency = Yarn(frequency, i, base, dims, scaling);
        break;
      case RopeScaling::Kind::kNone:
      case RopeScaling::Kind::kDynamic:
        break;
    }
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

Rotation ReadRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                      double default_base, std::uint32_t context_length) {
  RopeReader reader(fields, layer_type, context_length);
  const double base = reader.Base(default_base);
  const RopeScaling scaling = reader.Scaling();
  Rotation rotation;
  if (!fields->status().ok()) return rotation;
  rotation.frequencies = RopeFrequencies(base, dims, scaling);
  rotation.magnitude = static_cast<float>(scaling.magnitude);
  // The base grows with the length once that passes what the model was made for.
  if (scaling.kind == RopeScaling::Kind::kDynamic) rotation.most_positions = context_length;
  return rotation;
}

}  // namespace bramble::model::families
