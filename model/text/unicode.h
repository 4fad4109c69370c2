#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "model/text/vocabulary.h"

// Unicode's tables, as ICU has them (Debian 12: Unicode 15).
namespace bramble::model::text {

// `text` (valid UTF-8) in that normal form. Requires form != kNone.
Result<std::string> NormalForm(std::string_view text, UnicodeForm form);

bool IsSpace(char32_t letter);           // property White_Space
bool IsPunctuation(char32_t letter);     // ASCII's, or category P
bool IsWordLetter(char32_t letter);      // letter, digit, mark or connector: what \w matches
bool IsOther(char32_t letter);           // categories Cc, Cf, Co, Cs: not those that are unassigned
bool IsNonspacingMark(char32_t letter);  // category Mn
bool IsChinese(char32_t letter);         // the blocks of ideographs that BERT separates

// The full lower case of one character, without regard to its neighbours.
void AppendLower(char32_t letter, std::string& out);

}  // namespace bramble::model::text
