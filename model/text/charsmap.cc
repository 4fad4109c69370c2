#include "model/text/charsmap.h"

#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

// darts-clone's unit: bits 0-7 label (bit 31 set: a leaf, which matches no byte), bit 8 "a word
// ends here", bit 9 "the offset is in units of 256", bits 10-30 offset. A leaf holds the word's
// value in bits 0-30.
constexpr std::uint32_t kLeafBit = 1U << 31U;
bool HasLeaf(std::uint32_t unit) { return (unit >> 8U & 1U) != 0; }
std::uint32_t Value(std::uint32_t unit) { return unit & ~kLeafBit; }
std::uint32_t Label(std::uint32_t unit) { return unit & (kLeafBit | 0xffU); }
std::uint32_t Offset(std::uint32_t unit) { return (unit >> 10U) << ((unit & (1U << 9U)) >> 6U); }

std::uint32_t ReadUnit(std::string_view bytes, std::size_t at) {
  std::uint32_t unit = 0;
  for (std::size_t i = 4; i-- > 0;) unit = unit << 8U | static_cast<unsigned char>(bytes[at + i]);
  return unit;
}

}  // namespace

Result<CharsMap> CharsMap::Create(std::string_view bytes) {
  if (bytes.size() < 4)
    return Invalid("the precompiled charsmap has ", bytes.size(), " bytes, fewer than its header");
  const std::size_t trie_bytes = ReadUnit(bytes, 0);
  if (trie_bytes == 0 || trie_bytes % 4 != 0 || trie_bytes > bytes.size() - 4) {
    return Invalid("the precompiled charsmap says that its trie has ", trie_bytes,
                   " bytes; the map has ", bytes.size() - 4,
                   " after the header, and units are of 4");
  }
  CharsMap map;
  map.units_.reserve(trie_bytes / 4);
  for (std::size_t at = 4; at < 4 + trie_bytes; at += 4) map.units_.push_back(ReadUnit(bytes, at));
  map.replacements_ = bytes.substr(4 + trie_bytes);
  if (map.replacements_.empty() || map.replacements_.back() != '\0') {
    return Invalid("the replacements of the precompiled charsmap do not end with a zero byte");
  }
  if (!IsUtf8(map.replacements_))
    return Invalid("the replacements of the precompiled charsmap are not UTF-8");
  return map;
}

std::optional<CharsMap::Replacement> CharsMap::Find(std::string_view text) const {
  std::optional<Replacement> longest;
  std::size_t node = Offset(units_[0]);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || Label(units_[node]) != byte) break;
    const std::uint32_t unit = units_[node];
    node ^= Offset(unit);
    if (!HasLeaf(unit)) continue;
    if (node >= units_.size()) break;
    const std::uint32_t value = Value(units_[node]);
    if (value >= replacements_.size()) break;
    // Ends at a zero byte, which Create saw at the very end.
    longest = Replacement{i + 1, std::string_view(replacements_.data() + value)};
  }
  // A word or a replacement that begins or ends inside a character would make text that is not
  // UTF-8.
  if (longest.has_value()) {
    const bool cuts_text = longest->bytes < text.size() &&
                           (static_cast<unsigned char>(text[longest->bytes]) & 0xc0U) == 0x80U;
    if (cuts_text || !IsUtf8(longest->by)) return std::nullopt;
  }
  return longest;
}

}  // namespace bramble::model::text
