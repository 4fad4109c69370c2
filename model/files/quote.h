#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bramble::model::files {

// Text out of a file, fit for a terminal or a log: control characters, bidirectional overrides and
// bytes that are not UTF-8 become \xNN, and what is longer than `limit` bytes is cut and ends in
// "...".
std::string Escape(std::string_view text, std::size_t limit);

// The same in single quotes, for names in messages: at most 80 bytes of the name.
std::string Quote(std::string_view name);

// A path in a message: escaped, never cut below what a path can hold.
std::string QuotePath(std::string_view path);

}  // namespace bramble::model::files
