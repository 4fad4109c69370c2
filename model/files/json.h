#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/files/metadata.h"

namespace bramble::model::files {

// A JSON object as keys and values: {"a": {"b": 1, "c": ["x"]}} becomes "a.b" = 1 and "a.c" =
// ["x"]. Lists keep what is flat in them: an object or a list inside of a list is left out.
// InvalidArgument: not JSON, not an object, deeper than 32, a key twice, or more than `most_values`
// values, those in lists included. Infinity, which Python writes and JSON does not have, counts as
// null.
Result<Metadata> ReadJson(std::string_view text, std::size_t most_values);

// The texts that stand under `key`, wherever: {"a": [{"key": "x"}, {"key": "y"}]} gives "x", "y".
// InvalidArgument: not JSON, deeper than 32, or more than `most` of them.
Result<std::vector<std::string>> ReadJsonTexts(std::string_view text, std::string_view key,
                                               std::size_t most);

}  // namespace bramble::model::files
