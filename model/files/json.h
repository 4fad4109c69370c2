#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/status.h"
#include "model/files/metadata.h"

namespace bramble::model::files {

// A JSON object as keys and values: {"a": {"b": 1, "c": ["x"]}} becomes "a.b" = 1 and "a.c" =
// ["x"]. Lists keep what is flat in them: an object or a list inside of a list is left out.
// InvalidArgument: not JSON, not an object, deeper than 32, a key twice, or more than `most_values`
// values, those in lists included.
Result<Metadata> ReadJson(std::string_view text, std::size_t most_values);

}  // namespace bramble::model::files
