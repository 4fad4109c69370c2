#include "model/families/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr double kMostFactor = 1e6;
constexpr double kMostPositions = 1e9;
constexpr std::size_t kMostTableFloats = 1u << 18;  // a constant of a program has at most 1 MiB
constexpr std::uint32_t kMostDims = 1u << 20;

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
                        kMostRopeBase, if_missing);
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
      scaling.factor = Real("", "factor", kMostFactor);
      scaling.original_positions = context_length_;
    } else if (fields_.is_hf() && (type == "longrope" || type == "su")) {
      ReadLong(&scaling);
    } else {
      fields_.Refuse(Unimplemented(Place(), " asks for the rotary scaling ", files::Quote(type),
                                   "; known: linear, llama3, yarn, dynamic, longrope"));
    }
    return scaling;
  }

  // config.json's list of LongRoPE's factors.
  std::vector<double> Factors(std::string_view name) {
    const std::string full = prefix_ + std::string(name);
    const files::MetaValue* list = fields_.Find({"", full});
    if (list == nullptr) {
      fields_.Refuse(Invalid(fields_.Place({"", full}), " is missing"));
      return {};
    }
    auto numbers = list->Numbers(kMostDims);
    if (numbers.ok()) return *std::move(numbers);
    fields_.Refuse(Invalid(fields_.Place({"", full}), " must be a list of numbers"));
    return {};
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

  // The original length stands beside the context length, or nowhere: then that is it.
  void ReadLong(RopeScaling* s) {
    s->kind = RopeScaling::Kind::kLong;
    s->original_positions = context_length_;
    constexpr std::string_view kOriginal = "original_max_position_embeddings";
    const std::string own = prefix_ + std::string(kOriginal);
    const Key original = {"", fields_.Has({"", own}) ? std::string_view(own) : kOriginal};
    double factor = Real("", "factor", kMostFactor, 1);
    if (fields_.Has(original)) {
      s->original_positions = fields_.Real(original, 1, kMostPositions);
      factor = context_length_ / s->original_positions;
    }
    // Some name the magnitude for each kind of sequence.
    const std::string short_name = prefix_ + "short_mscale";
    s->magnitude = fields_.OptionalReal({"", short_name}, kMostFactor);
    if (fields_.OptionalReal({"", prefix_ + "long_mscale"}, kMostFactor) != s->magnitude) {
      fields_.Refuse(
          Unimplemented(fields_.Place({"", short_name}), ": it must be the same as long_mscale"));
    }
    if (s->magnitude > 0) return;
    s->magnitude = fields_.OptionalReal({"", prefix_ + "attention_factor"}, kMostFactor);
    if (s->magnitude > 0) return;
    s->magnitude = factor <= 1 || s->original_positions <= 1
                       ? 1
                       : std::sqrt(1 + std::log(factor) / std::log(s->original_positions));
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
      case RopeScaling::Kind::kLong:
        break;
    }
    frequencies[i] = static_cast<float>(frequency);
  }
  return frequencies;
}

namespace {

// The base grows with the length once that passes what the model was made for: a row of frequencies
// for each length, as far as such a constant may reach.
void GrowWithLength(double base, const RopeScaling& s, Rotation* rotation) {
  const std::size_t pairs = rotation->frequencies.size();
  const std::size_t room = kMostTableFloats / pairs;
  const double beyond =
      std::min(static_cast<double>(room), std::floor((s.factor - 1) * s.original_positions));
  rotation->long_from = static_cast<std::uint32_t>(s.original_positions);
  rotation->most_positions = rotation->long_from;
  if (beyond < 1) return;
  rotation->most_positions += static_cast<std::uint32_t>(beyond);
  const auto dims = static_cast<std::uint32_t>(2 * pairs);
  for (std::uint32_t n = rotation->long_from + 1; n <= rotation->most_positions; ++n) {
    const double stretch = s.factor * n / s.original_positions - (s.factor - 1);
    const double grown = base * std::pow(stretch, dims / (dims - 2.0));
    const std::vector<float> row = RopeFrequencies(grown, dims, {});
    rotation->long_frequencies.insert(rotation->long_frequencies.end(), row.begin(), row.end());
  }
}

}  // namespace

Rotation ReadRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                      double default_base, std::uint32_t context_length) {
  RopeReader reader(fields, layer_type, context_length);
  const double base = reader.Base(default_base);
  const RopeScaling scaling = reader.Scaling();
  Rotation rotation;
  if (!fields->status().ok()) return rotation;
  rotation.frequencies = RopeFrequencies(base, dims, scaling);
  rotation.magnitude = static_cast<float>(scaling.magnitude);
  if (scaling.kind == RopeScaling::Kind::kDynamic) GrowWithLength(base, scaling, &rotation);
  if (scaling.kind == RopeScaling::Kind::kLong) {
    const std::vector<double> factors = reader.Factors("short_factor");
    const std::vector<double> long_factors = reader.Factors("long_factor");
    SetFactors(fields, factors, long_factors,
               static_cast<std::uint32_t>(scaling.original_positions), &rotation);
  }
  return rotation;
}

void SetFactors(Fields* fields, const std::vector<double>& factors,
                const std::vector<double>& long_factors, std::uint32_t from, Rotation* rotation) {
  if (!fields->status().ok()) return;
  const auto divide = [&](const std::vector<double>& by) {
    std::vector<float> divided;
    for (std::size_t i = 0; i < rotation->frequencies.size() && i < by.size(); ++i) {
      if (!(by[i] > 0) || by[i] > kMostFactor) break;
      divided.push_back(static_cast<float>(rotation->frequencies[i] / by[i]));
    }
    if (by.size() != rotation->frequencies.size() || divided.size() != by.size()) {
      fields->Refuse(Invalid("LongRoPE's factors must be ", rotation->frequencies.size(),
                             " numbers above 0, up to ", kMostFactor));
    }
    return divided;
  };
  rotation->long_frequencies = divide(long_factors);
  rotation->frequencies = divide(factors);
  rotation->long_from = from;
}

Rotation ReadPlainRotation(Fields* fields, std::string_view layer_type, std::uint32_t dims,
                           double default_base) {
  const double base = RopeReader(fields, layer_type, 0).Base(default_base);
  Rotation rotation;
  if (fields->status().ok()) rotation.frequencies = RopeFrequencies(base, dims, {});
  return rotation;
}

std::uint32_t ReadRotatedDims(Fields* fields, std::string_view hf_part, std::uint32_t head_dim,
                              double default_part) {
  constexpr Key kNewPart = {"", "rope_parameters.partial_rotary_factor"};
  std::uint32_t dims = fields->Count({"rope.dimension_count", ""}, 1, kMostDims, head_dim);
  if (fields->is_hf()) {
    const Key part = fields->Has(kNewPart) ? kNewPart : Key{"", hf_part};
    dims = static_cast<std::uint32_t>(head_dim * fields->Real(part, 0, 1, default_part));
  }
  if (dims == 0 || dims % 2 != 0 || dims > head_dim) {
    fields->Refuse(Invalid(dims, " dimensions of each head would be rotated, of ", head_dim,
                           "; it must be an even number"));
  }
  return dims;
}

}  // namespace bramble::model::families
