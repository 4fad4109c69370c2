#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/text/jinja/context.h"
#include "model/text/jinja/marked_string.h"

// Python's operations on strings, with the marks kept. Positions count characters where Python's
// do.
namespace bramble::model::text::jinja {

// Where each character begins, and the size behind the last. Paid for by the budget; empty when
// that is used up.
std::vector<std::uint32_t> Characters(Context& context, const MarkedString& text);
std::size_t CountCharacters(std::string_view text);

// The first place of `what` at or behind `from`, in bytes; npos: none. Linear, whatever the two
// texts are.
std::size_t FindText(std::string_view text, std::string_view what, std::size_t from);

// `characters`: which to strip, as a set; nullptr: blanks.
MarkedString Strip(const MarkedString& text, const MarkedString* characters, bool left, bool right);

// `separator` nullptr: by runs of blanks. `most`: how many cuts, negative: all.
std::vector<Value> Split(Context& context, const MarkedString& text, const MarkedString* separator,
                         std::int64_t most);
// The same from the right.
std::vector<Value> SplitRight(Context& context, const MarkedString& text,
                              const MarkedString* separator, std::int64_t most);
std::vector<Value> SplitLines(Context& context, const MarkedString& text, bool keep_ends);

// `most`: negative: all.
MarkedString Replace(Context& context, const MarkedString& text, const MarkedString& old,
                     const MarkedString& by, std::int64_t most);

// kTitle: the method title, every run of letters is a word; kWords: the filter title, "it's" is
// one.
enum class LetterCase : std::uint8_t { kLower, kUpper, kTitle, kWords, kCapitalize };
MarkedString ChangeCase(Context& context, const MarkedString& text, LetterCase how);

// printf-like `text % values`, for %s %r %d %i %f %x %%. A context error names a conversion that is
// not known.
MarkedString FormatPercent(Context& context, const MarkedString& text,
                           const std::vector<Value>& values);
// text.format(...), for {} {0} {name}.
MarkedString FormatBraces(Context& context, const MarkedString& text,
                          const CallArguments& arguments);

}  // namespace bramble::model::text::jinja
