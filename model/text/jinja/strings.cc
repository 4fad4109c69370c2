#include "model/text/jinja/strings.h"

#include <algorithm>
#include <cstring>

#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text::jinja {
namespace {

Utf8Step StepAt(const MarkedString& text, std::size_t at) {
  return NextUtf8(std::string_view(text.bytes()).substr(at));
}

std::size_t BeginOfLast(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
  return begin;
}

bool IsIn(const MarkedString* characters, std::string_view letter) {
  if (characters == nullptr) return IsPythonSpace(NextUtf8(letter).letter);
  return FindText(characters->bytes(), letter, 0) != std::string::npos;
}

// What Jinja's filter `title` takes for the space between words.
bool EndsWord(char32_t letter) {
  return IsPythonSpace(letter) || letter == '-' || letter == '(' || letter == '{' ||
         letter == '[' || letter == '<';
}

std::vector<Value> SplitBlanks(Context& context, const MarkedString& text, std::int64_t most) {
  std::vector<Value> parts;
  std::size_t at = 0;
  const auto skip = [&](bool blanks) {
    while (at < text.size() && IsPythonSpace(StepAt(text, at).letter) == blanks)
      at += StepAt(text, at).bytes;
  };
  for (skip(true); at < text.size() && !context.failed(); skip(true)) {
    const std::size_t begin = at;
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      parts.push_back(context.NewText(text.Part(begin, text.size())));
      break;
    }
    skip(false);
    parts.push_back(context.NewText(text.Part(begin, at)));
  }
  return parts;
}

}  // namespace

std::vector<std::uint32_t> Characters(Context& context, const MarkedString& text) {
  std::vector<std::uint32_t> begins;
  if (!context.budget().Bytes(4 * text.size())) return begins;
  begins.reserve(text.size() + 1);
  for (std::size_t at = 0; at < text.size(); at += StepAt(text, at).bytes) {
    begins.push_back(static_cast<std::uint32_t>(at));
  }
  begins.push_back(static_cast<std::uint32_t>(text.size()));
  return begins;
}

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char byte) {
    return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
  }));
}

std::size_t FindText(std::string_view text, std::string_view what, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (what.empty()) return from;
  // std::string::find is quadratic on texts like "aaaa...b".
  const void* found = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

MarkedString Strip(const MarkedString& text, const MarkedString* characters, bool left,
                   bool right) {
  const std::string_view bytes = text.bytes();
  std::size_t begin = 0;
  std::size_t end = bytes.size();
  while (left && begin < end) {
    const std::size_t size = StepAt(text, begin).bytes;
    if (!IsIn(characters, bytes.substr(begin, size))) break;
    begin += size;
  }
  while (right && end > begin) {
    const std::size_t last = BeginOfLast(bytes, end);
    if (!IsIn(characters, bytes.substr(last, end - last))) break;
    end = last;
  }
  return text.Part(begin, end);
}

std::vector<Value> Split(Context& context, const MarkedString& text, const MarkedString* separator,
                         std::int64_t most) {
  if (separator == nullptr) return SplitBlanks(context, text, most);
  std::vector<Value> parts;
  if (separator->empty()) {
    context.Fail("split by an empty separator");
    return parts;
  }
  std::size_t at = 0;
  while (!context.failed() && (most < 0 || static_cast<std::int64_t>(parts.size()) < most)) {
    const std::size_t found = FindText(text.bytes(), separator->bytes(), at);
    if (found == std::string::npos) break;
    parts.push_back(context.NewText(text.Part(at, found)));
    at = found + separator->size();
  }
  parts.push_back(context.NewText(text.Part(at, text.size())));
  return parts;
}

std::vector<Value> SplitRight(Context& context, const MarkedString& text,
                              const MarkedString* separator, std::int64_t most) {
  std::vector<Value> all = Split(context, text, separator, -1);
  const auto count = static_cast<std::int64_t>(all.size());
  if (most < 0 || count <= most + 1 || context.failed()) return all;
  // The parts that stay together at the left, as they stand in the text.
  std::size_t tail = 0;
  for (std::int64_t i = count - most; i < count; ++i)
    tail += all[static_cast<std::size_t>(i)].AsText()->size();
  std::vector<Value> parts;
  if (separator != nullptr) {
    tail += static_cast<std::size_t>(most) * separator->size();
    parts.push_back(context.NewText(text.Part(0, text.size() - tail)));
  } else {
    context.Fail("rsplit by blanks with a limit is not known");
  }
  parts.insert(parts.end(), all.end() - most, all.end());
  return parts;
}

std::vector<Value> SplitLines(Context& context, const MarkedString& text, bool keep_ends) {
  std::vector<Value> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size() && !context.failed();) {
    const Utf8Step step = StepAt(text, at);
    const char32_t c = step.letter;
    const bool ends = (c >= 0x0a && c <= 0x0d) || (c >= 0x1c && c <= 0x1e) || c == 0x85 ||
                      c == 0x2028 || c == 0x2029;
    std::size_t next = at + step.bytes;
    if (c == '\r' && next < text.size() && text.bytes()[next] == '\n') ++next;
    if (ends) {
      lines.push_back(context.NewText(text.Part(begin, keep_ends ? next : at)));
      begin = next;
    }
    at = next;
  }
  if (begin < text.size()) lines.push_back(context.NewText(text.Part(begin, text.size())));
  return lines;
}

MarkedString Replace(Context& context, const MarkedString& text, const MarkedString& old,
                     const MarkedString& by, std::int64_t most) {
  MarkedString out;
  std::size_t at = 0;
  for (std::int64_t count = 0; (most < 0 || count < most) && !context.failed(); ++count) {
    // An empty text is found between all characters.
    std::size_t from = at;
    if (old.empty() && count > 0) {
      if (at == text.size()) break;
      from = at + StepAt(text, at).bytes;
    }
    const std::size_t found = FindText(text.bytes(), old.bytes(), from);
    if (found == std::string::npos) break;
    if (!context.budget().Bytes(found - at + by.size() + 1)) break;
    out.AppendPart(text, at, found);
    out.Append(by);
    at = found + old.size();
  }
  if (context.budget().Bytes(text.size() - at)) out.AppendPart(text, at, text.size());
  return out;
}

MarkedString ChangeCase(Context& context, const MarkedString& text, LetterCase how) {
  MarkedString out;
  bool in_word = false;
  std::string changed;
  if (!context.budget().Bytes(2 * text.size())) return out;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = StepAt(text, at);
    const bool first = how == LetterCase::kTitle || how == LetterCase::kWords ? !in_word : at == 0;
    in_word = how == LetterCase::kWords ? !EndsWord(step.letter)
                                        : IsUpper(step.letter) || IsLower(step.letter);
    changed.clear();
    if (how == LetterCase::kUpper) {
      AppendUpper(step.letter, false, changed);
    } else if (how != LetterCase::kLower && first) {
      AppendUpper(step.letter, true, changed);
    } else {
      AppendLower(step.letter, changed);
    }
    out.Append(changed, text.IsTrusted(at));
    at += step.bytes;
  }
  return out;
}

}  // namespace bramble::model::text::jinja
