#include "model/text/byte_letters.h"

#include <array>

#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

constexpr std::size_t kLetters = 0x144;  // one more than the last letter

struct Table {
  std::array<std::string, 256> letters;
  std::array<int, kLetters> bytes;  // -1: not a letter

  Table() {
    bytes.fill(-1);
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool itself =
          (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
      const char32_t letter = itself ? byte : next++;
      AppendUtf8(letter, letters[byte]);
      bytes[letter] = static_cast<int>(byte);
    }
  }
};

const Table& TheTable() {
  static const Table the_table;
  return the_table;
}

}  // namespace

std::string_view LetterOfByte(unsigned char byte) { return TheTable().letters[byte]; }

std::optional<std::string> BytesOfLetters(std::string_view spelling) {
  const Table& table = TheTable();
  std::string bytes;
  bytes.reserve(spelling.size());
  while (!spelling.empty()) {
    const Utf8Step step = NextUtf8(spelling);
    if (!step.valid || step.letter >= kLetters || table.bytes[step.letter] < 0) return std::nullopt;
    bytes += static_cast<char>(table.bytes[step.letter]);
    spelling.remove_prefix(step.bytes);
  }
  return bytes;
}

}  // namespace bramble::model::text
