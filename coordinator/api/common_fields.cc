#include "coordinator/api/common_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/escape.h"
#include "coordinator/api/joined.h"

namespace bramble::coordinator {
namespace {

constexpr std::size_t kMostStops = 16;
constexpr std::size_t kStopBytes = 4096;
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kMostStopIds = 256;
constexpr std::int64_t kMost32 = std::numeric_limits<std::uint32_t>::max();

// Fields whose every value but the neutral one would change the answer in a way that is not built.
void RefuseUnsupported(Fields& fields) {
  if (const Json* format = fields.Object("response_format")) {
    Fields inner(*format, "response_format.");
    const auto type = inner.Text("type");
    fields.Take(inner.error());
    if (!type) {
      fields.Fail("response_format", "'response_format' needs a 'type'");
    } else if (*type != "text") {
      fields.Fail(
          "response_format",
          Joined("response_format '", Printable(*type, 60), "' is not supported: only 'text' is"),
          "not_supported");
    }
  }
  for (const char* name :
       {"grammar", "json_schema", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
        "structured_outputs", "bad_words", "allowed_token_ids", "prompt_logprobs"}) {
    if (fields.Find(name) != nullptr) {
      fields.Fail(name, Joined("'", name, "' is not supported"), "not_supported");
    }
  }
}

void ReadSampling(Fields& fields, std::uint32_t vocabulary_size, v1::Sampling& sampling) {
  sampling.set_temperature(static_cast<float>(fields.Number("temperature", 0, 2).value_or(1)));
  sampling.set_top_p(static_cast<float>(fields.Number("top_p", 0, 1).value_or(1)));
  sampling.set_min_p(static_cast<float>(fields.Number("min_p", 0, 1).value_or(0)));
  // -1 is vLLM's word for off, 0 llama.cpp's.
  const std::int64_t top_k =
      fields.Integer("top_k", -1, std::numeric_limits<std::int32_t>::max()).value_or(0);
  sampling.set_top_k(static_cast<std::uint32_t>(std::max<std::int64_t>(top_k, 0)));
  sampling.set_presence_penalty(
      static_cast<float>(fields.Number("presence_penalty", -2, 2).value_or(0)));
  sampling.set_frequency_penalty(
      static_cast<float>(fields.Number("frequency_penalty", -2, 2).value_or(0)));
  const auto alias = fields.Number("repeat_penalty", 0.01, 100);
  const auto repetition = fields.Number("repetition_penalty", 0.01, 100);
  sampling.set_repetition_penalty(static_cast<float>(repetition.value_or(alias.value_or(1))));

  const Json* biases = fields.Object("logit_bias");
  if (biases == nullptr) return;
  if (biases->size() > kMostBiases) {
    return fields.Fail("logit_bias", Joined("'logit_bias' has ", biases->size(),
                                            " entries, the limit is ", kMostBiases));
  }
  for (const auto& [text, value] : biases->items()) {
    std::uint32_t id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error != std::errc() || end != text.data() + text.size() || id >= vocabulary_size) {
      return fields.Fail("logit_bias", Joined("'logit_bias' has the key '", Printable(text, 60),
                                              "', which is no id of the vocabulary (0 to ",
                                              vocabulary_size - 1, ")"));
    }
    const double bias =
        value.is_number() ? value.get<double>() : std::numeric_limits<double>::infinity();
    if (!(bias >= -100 && bias <= 100)) {
      return fields.Fail("logit_bias",
                         Joined("'logit_bias' of ", text,
                                " must be a number from -100 to 100, it is ", Shown(value)));
    }
    v1::LogitBias* entry = sampling.add_bias();
    entry->set_id(id);
    entry->set_value(static_cast<float>(bias));
  }
}

// The whole of 64 bits, signed or unsigned.
void ReadSeed(Fields& fields, std::optional<std::uint64_t>& seed) {
  const Json* value = fields.Find("seed");
  if (value == nullptr) return;
  if (!value->is_number_integer()) {
    return fields.Fail("seed",
                       Joined("'seed' must be an integer of 64 bits, it is ", Shown(*value)));
  }
  seed = value->is_number_unsigned() ? value->get<std::uint64_t>()
                                     : static_cast<std::uint64_t>(value->get<std::int64_t>());
}

void ReadStops(Fields& fields, std::vector<std::string>& stops) {
  const Json* value = fields.Find("stop");
  if (value == nullptr) return;
  const auto add = [&](const Json& stop, const std::string& place) {
    if (!stop.is_string()) {
      fields.Fail("stop", Joined("'", place, "' must be a string, it is ", Shown(stop)));
    } else if (const auto& text = stop.get_ref<const std::string&>(); text.empty()) {
      fields.Fail(
          "stop",
          "'" + place + "' is empty: an empty string would stop every answer before it begins");
    } else if (text.size() > kStopBytes) {
      fields.Fail("stop",
                  Joined("'", place, "' has ", text.size(), " bytes, the limit is ", kStopBytes));
    } else {
      stops.push_back(text);
    }
  };
  if (!value->is_array()) return add(*value, "stop");
  if (value->size() > kMostStops) {
    return fields.Fail("stop",
                       Joined("'stop' has ", value->size(), " strings, the limit is ", kMostStops));
  }
  for (std::size_t i = 0; i < value->size(); ++i) add((*value)[i], Joined("stop[", i, "]"));
}

void ReadStreaming(Fields& fields, CommonFields& out) {
  out.stream = fields.Bool("stream").value_or(false);
  const Json* options = fields.Object("stream_options");
  if (options == nullptr) return;
  if (!out.stream) {
    return fields.Fail("stream_options", "'stream_options' is only allowed with 'stream': true");
  }
  Fields inner(*options, "stream_options.");
  out.include_usage = inner.Bool("include_usage").value_or(false);
  fields.Take(inner.error());
}

}  // namespace

std::optional<ApiError> CheckModelName(const std::string& name, const ServedModel& model) {
  if (name == model.name) return std::nullopt;
  if (std::find(model.aliases.begin(), model.aliases.end(), name) != model.aliases.end())
    return std::nullopt;
  ApiError error = BadField(
      "model",
      Joined("the model '", Printable(name, 100), "' is not served here; '", model.name, "' is"),
      "model_not_found");
  error.status = 404;
  return error;
}

std::optional<ApiError> ReadIds(const Json& array, const std::string& place,
                                std::uint32_t vocabulary_size, std::vector<std::uint32_t>& out) {
  out.reserve(array.size());
  for (const Json& value : array) {
    const bool is_id = value.is_number_unsigned() && value.get<std::uint64_t>() < vocabulary_size;
    if (!is_id) {
      return BadField(
          place, Joined("'", place, "' must hold ids of the vocabulary (0 to ", vocabulary_size - 1,
                        "); at ", out.size(), " is ", Shown(value)));
    }
    out.push_back(value.get<std::uint32_t>());
  }
  return std::nullopt;
}

CommonFields ReadCommonFields(Fields& fields, const ServedModel& model) {
  CommonFields out;
  if (const auto name = fields.Text("model")) {
    out.model = *name;
    fields.Take(CheckModelName(*name, model));
  } else {
    fields.Fail("model", "'model' is missing: say which model is to answer ('" + model.name + "')");
  }
  ReadSampling(fields, model.vocabulary_size, out.sampling);
  ReadSeed(fields, out.seed);
  ReadStops(fields, out.stops);
  ReadStreaming(fields, out);
  out.include_stop = fields.Bool("include_stop_str_in_output").value_or(false);
  out.n = static_cast<std::uint32_t>(fields.Integer("n", 1, kMostChoices).value_or(1));
  const auto max_tokens = fields.Integer("max_tokens", 0, kMost32);
  const auto preferred = fields.Integer("max_completion_tokens", 0, kMost32);
  if (preferred || max_tokens)
    out.max_tokens = static_cast<std::uint32_t>(preferred ? *preferred : *max_tokens);
  if (const Json* ids = fields.Array("stop_token_ids")) {
    if (ids->size() > kMostStopIds) {
      fields.Fail("stop_token_ids",
                  Joined("'stop_token_ids' has more than ", kMostStopIds, " ids"));
    } else {
      fields.Take(ReadIds(*ids, "stop_token_ids", model.vocabulary_size, out.stop_token_ids));
    }
  }
  out.ignore_eos = fields.Bool("ignore_eos").value_or(false);
  out.min_tokens = static_cast<std::uint32_t>(fields.Integer("min_tokens", 0, kMost32).value_or(0));
  if (out.max_tokens && out.min_tokens > *out.max_tokens) {
    fields.Fail("min_tokens", Joined("'min_tokens' is ", out.min_tokens, ", more than max_tokens, ",
                                     *out.max_tokens));
  }
  RefuseUnsupported(fields);
  return out;
}

}  // namespace bramble::coordinator
