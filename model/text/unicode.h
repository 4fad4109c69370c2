#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "model/text/vocabulary.h"

// Unicode's tables, as ICU has them (Debian 12: Unicode 15).
namespace bramble::model::text {

// `text` (valid UTF-8) in that normal form. Requires form != kNone.
Result<std::string> NormalForm(std::string_view text, UnicodeForm form);

bool IsSpace(char32_t letter);        // property White_Space
bool IsPythonSpace(char32_t letter);  // what str.isspace and \s mean: the same and U+001C to U+001F
bool IsPunctuation(char32_t letter);  // ASCII's, or category P
bool IsWordLetter(char32_t letter);   // letter, digit, mark or connector: what \w matches
bool IsOther(char32_t letter);        // categories Cc, Cf, Co, Cs: not those that are unassigned
bool IsPythonPrintable(char32_t letter);  // str.isprintable: not category C or Z, but for the space
bool IsNonspacingMark(char32_t letter);   // category Mn
bool IsChinese(char32_t letter);          // the blocks of ideographs that BERT separates

bool IsLetter(char32_t letter);   // category L
bool IsDecimal(char32_t letter);  // category Nd
bool IsUpper(char32_t letter);    // properties Uppercase and Lowercase
bool IsLower(char32_t letter);

// The lower case of one character, without regard to its neighbours.
void AppendLower(char32_t letter, std::string& out);
// Its upper case; title: as the first letter of a title. Full mappings ("ß" is "SS").
void AppendUpper(char32_t letter, bool title, std::string& out);

}  // namespace bramble::model::text
