#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bramble::model::text {

// GPT-2's way to write bytes as letters: printable Latin-1 characters stand for themselves, the
// other 68 bytes, in order, for U+0100 and up (openai/gpt-2, encoder.py, bytes_to_unicode).
std::string_view LetterOfByte(unsigned char byte);  // UTF-8; lives for ever

// The bytes of a spelling in these letters; nothing if it has another character.
std::optional<std::string> BytesOfLetters(std::string_view spelling);

}  // namespace bramble::model::text
