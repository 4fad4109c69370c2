#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bramble {

// Foreign bytes in a form that is safe to print: valid UTF-8 without control characters (C0, DEL,
// C1, bidirectional overrides); everything else, and the backslash, becomes \n, \t, \\ or \xNN.
// Longer results than `limit` bytes are cut at a character and end in "...".
std::string Printable(std::string_view bytes, std::size_t limit = 200);

}  // namespace bramble
