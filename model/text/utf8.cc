#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

unsigned ByteAt(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned char>(bytes[at]);
}

// What the second byte may be depends on the first (Unicode standard, table 3-7): no overlong
// forms, no surrogates, nothing above U+10FFFF.
struct Lead {
  std::size_t length;  // 0: not a first byte
  unsigned second_low;
  unsigned second_high;
};

Lead LeadOf(unsigned byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xc2) return {0, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3, 0x80, 0xbf};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4, 0x80, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

Utf8Step NextUtf8(std::string_view bytes) {
  const unsigned first = ByteAt(bytes, 0);
  const Lead lead = LeadOf(first);
  if (lead.length == 1) return {first, 1, true, false};
  if (lead.length == 0) return {U'\ufffd', 1, false, false};
  char32_t letter = first & (0x7fU >> lead.length);
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {U'\ufffd', i, false, true};
    const unsigned byte = ByteAt(bytes, i);
    const unsigned low = i == 1 ? lead.second_low : 0x80U;
    const unsigned high = i == 1 ? lead.second_high : 0xbfU;
    if (byte < low || byte > high) return {U'\ufffd', i, false, false};
    letter = letter << 6U | (byte & 0x3fU);
  }
  return {letter, lead.length, true, false};
}

void AppendUtf8(char32_t letter, std::string& out) {
  const auto add = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (letter < 0x80) {
    add(letter);
  } else if (letter < 0x800) {
    add(0xc0U | letter >> 6U);
    add(0x80U | (letter & 0x3fU));
  } else if (letter < 0x10000) {
    add(0xe0U | letter >> 12U);
    add(0x80U | (letter >> 6U & 0x3fU));
    add(0x80U | (letter & 0x3fU));
  } else {
    add(0xf0U | letter >> 18U);
    add(0x80U | (letter >> 12U & 0x3fU));
    add(0x80U | (letter >> 6U & 0x3fU));
    add(0x80U | (letter & 0x3fU));
  }
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const Utf8Step step = NextUtf8(bytes);
    if (!step.valid) return false;
    bytes.remove_prefix(step.bytes);
  }
  return true;
}

std::string ReplaceInvalidUtf8(std::string_view bytes, std::string* tail) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = NextUtf8(bytes);
    if (step.incomplete && tail != nullptr) {
      tail->assign(bytes);
      return text;
    }
    if (step.valid) {
      text.append(bytes.substr(0, step.bytes));
    } else {
      text += "\xef\xbf\xbd";
    }
    bytes.remove_prefix(step.bytes);
  }
  if (tail != nullptr) tail->clear();
  return text;
}

}  // namespace bramble::model::text
