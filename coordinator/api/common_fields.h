#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bramble/v1/run.pb.h"
#include "coordinator/api/api.h"
#include "coordinator/api/fields.h"

namespace bramble::coordinator {

inline constexpr std::uint32_t kMostChoices = 128;  // of one request: n times the prompts

// What chats and completions have in common. Defaults are OpenAI's: neutral.
struct CommonFields {
  std::string model;
  v1::Sampling sampling;              // without its seed
  std::optional<std::uint64_t> seed;  // 64 bits; a negative one is its two's complement
  std::optional<std::uint32_t> max_tokens;
  std::uint32_t n = 1;
  std::vector<std::string> stops;
  bool include_stop = false;  // vLLM's include_stop_str_in_output
  std::vector<std::uint32_t> stop_token_ids;
  bool ignore_eos = false;
  std::uint32_t min_tokens = 0;  // no end and no stop string counts before that many
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
};

// Reads them; an error is left in `fields`.
CommonFields ReadCommonFields(Fields& fields, const ServedModel& model);

// 404 unless `name` is the served model or an alias of it.
std::optional<ApiError> CheckModelName(const std::string& name, const ServedModel& model);

// An array of ids of the vocabulary. `place` names it in errors.
std::optional<ApiError> ReadIds(const Json& array, const std::string& place,
                                std::uint32_t vocabulary_size, std::vector<std::uint32_t>& out);

}  // namespace bramble::coordinator
