#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string_view>

#include "coordinator/api/errors.h"

namespace bramble::coordinator {

using Json = nlohmann::ordered_json;

inline constexpr std::size_t kJsonDepth = 64;
inline constexpr std::size_t kJsonValues = 500'000;

// A request's body: one JSON object. Refused: broken JSON (with the byte, line and column),
// anything but an object, nesting over kJsonDepth, more than kJsonValues values, a key that occurs
// twice in one object (readers differ on which counts). Takes time in proportion to the body.
std::optional<ApiError> ParseBody(std::string_view body, Json& out);

}  // namespace bramble::coordinator
