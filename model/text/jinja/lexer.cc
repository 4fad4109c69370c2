#include "model/text/jinja/lexer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text::jinja {
namespace {

constexpr std::size_t kMaxTokens = 200'000;

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

std::string NormalizeNewlines(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// Where the blanks at the end of text[0, end) begin.
std::size_t TrimRight(std::string_view text, std::size_t end) {
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
    if (!IsPythonSpace(NextUtf8(text.substr(begin, end - begin)).letter)) break;
    end = begin;
  }
  return end;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : text_(NormalizeNewlines(source)) {}

  Result<std::vector<Token>> Run() {
    while (at_ < text_.size()) {
      const std::size_t begin = FindTag();
      if (begin == std::string::npos) {
        AddText(at_, text_.size());
        break;
      }
      const char kind = text_[begin + 1];
      const char sign = begin + 2 < text_.size() ? text_[begin + 2] : '\0';
      AddText(at_, TextEnd(begin, kind, sign));
      Advance(begin + 2 + (sign == '-' || (sign == '+' && kind != '{') ? 1 : 0));
      RETURN_IF_ERROR(kind == '#' ? Comment() : Tag(kind));
      if (tokens_.size() > kMaxTokens)
        return Invalid("the template has more than ", kMaxTokens, " parts");
    }
    tokens_.push_back({Token::Kind::kEnd, "", line_});
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return std::string_view(text_).substr(at_); }
  bool At(std::string_view what) const { return Rest().starts_with(what); }

  template <typename... Parts>
  Status Bad(const Parts&... parts) const {
    return Invalid("chat template, line ", line_, ": ", parts...);
  }

  void Advance(std::size_t to) {
    line_ += static_cast<std::uint32_t>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                   text_.begin() + static_cast<std::ptrdiff_t>(to),
                                                   '\n'));
    at_ = to;
  }

  std::size_t FindTag() const {
    for (std::size_t i = text_.find('{', at_); i != std::string::npos; i = text_.find('{', i + 1)) {
      const char next = i + 1 < text_.size() ? text_[i + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return std::string::npos;
  }

  // Where the text in front of a tag ends: "-" drops all blanks before it; a block or a comment
  // that stands first in its line drops the blanks of that line, unless it says "+".
  std::size_t TextEnd(std::size_t tag, char kind, char sign) const {
    if (sign == '-') return std::max(at_, TrimRight(text_, tag));
    if (sign == '+' || kind == '{') return tag;
    const std::size_t newline = text_.rfind('\n', tag == 0 ? 0 : tag - 1);
    const std::size_t line_begin = newline == std::string::npos || newline >= tag ? 0 : newline + 1;
    // What stands before a tag in the same line is another tag, unless that one ate the newline.
    if (line_begin < at_ && at_ > 0 && text_[at_ - 1] != '\n') return tag;
    const std::size_t from = std::max(line_begin, at_);
    return TrimRight(text_, tag) <= from ? from : tag;
  }

  void AddText(std::size_t begin, std::size_t end) {
    if (end > begin)
      tokens_.push_back({Token::Kind::kText, text_.substr(begin, end - begin), line_});
  }

  // Behind the end of a tag that starts at at_: "-" eats all blanks, a block or comment one newline
  // unless it says "+".
  void SkipEnd(std::size_t size, char sign, bool eats_newline) {
    std::size_t to = at_ + size;
    if (sign == '-') {
      while (to < text_.size()) {
        const Utf8Step step = NextUtf8(std::string_view(text_).substr(to));
        if (!IsPythonSpace(step.letter)) break;
        to += step.bytes;
      }
    } else if (sign != '+' && eats_newline && to < text_.size() && text_[to] == '\n') {
      ++to;
    }
    Advance(to);
  }

  Status Comment() {
    const std::size_t end = text_.find("#}", at_);
    if (end == std::string::npos) return Bad("a comment that begins here does not end");
    const char sign =
        end > at_ && (text_[end - 1] == '-' || text_[end - 1] == '+') ? text_[end - 1] : '\0';
    Advance(end);
    SkipEnd(2, sign, true);
    return {};
  }

  Status Tag(char kind) {
    if (kind == '%') {
      if (const auto body = RawBody()) return Raw(*body);
    }
    const bool block = kind == '%';
    const std::string_view end = block ? "%}" : "}}";
    tokens_.push_back({block ? Token::Kind::kBlockBegin : Token::Kind::kPrintBegin, "", line_});
    std::string open;  // brackets: inside of them "}}" does not end the tag
    for (;;) {
      while (at_ < text_.size() && IsPythonSpace(NextUtf8(Rest()).letter))
        Advance(at_ + NextUtf8(Rest()).bytes);
      if (at_ == text_.size())
        return Bad("a tag that was begun with ", block ? "{%" : "{{", " does not end");
      if (open.empty()) {
        const char sign = text_[at_];
        const bool signed_end =
            (sign == '-' || (sign == '+' && block)) && Rest().substr(1).starts_with(end);
        if (signed_end || At(end)) {
          tokens_.push_back({block ? Token::Kind::kBlockEnd : Token::Kind::kPrintEnd, "", line_});
          SkipEnd(signed_end ? 3 : 2, signed_end ? sign : '\0', block);
          return {};
        }
      }
      RETURN_IF_ERROR(Word(open));
    }
  }

  // Behind "{%": where the body of `raw` begins.
  std::optional<std::size_t> RawBody() const {
    std::size_t i = SkipBlanks(at_);
    if (!std::string_view(text_).substr(i).starts_with("raw")) return std::nullopt;
    i = SkipBlanks(i + 3);
    const std::string_view rest = std::string_view(text_).substr(i);
    if (rest.starts_with("-%}")) return SkipBlanks(i + 3);
    return rest.starts_with("%}") ? std::optional(i + 2) : std::nullopt;
  }

  std::size_t SkipBlanks(std::size_t i) const {
    while (i < text_.size() && IsPythonSpace(NextUtf8(std::string_view(text_).substr(i)).letter)) {
      i += NextUtf8(std::string_view(text_).substr(i)).bytes;
    }
    return i;
  }

  Status Raw(std::size_t body) {
    Advance(body);
    for (std::size_t tag = text_.find("{%", at_); tag != std::string::npos;
         tag = text_.find("{%", tag + 1)) {
      const char begin_sign = tag + 2 < text_.size() ? text_[tag + 2] : '\0';
      const bool is_signed = begin_sign == '-' || begin_sign == '+';
      std::size_t i = SkipBlanks(tag + 2 + (is_signed ? 1 : 0));
      if (!std::string_view(text_).substr(i).starts_with("endraw")) continue;
      i = SkipBlanks(i + 6);
      if (i >= text_.size()) break;
      const char end_sign = text_[i] == '-' || text_[i] == '+' ? text_[i] : '\0';
      if (!std::string_view(text_).substr(i + (end_sign != '\0' ? 1 : 0)).starts_with("%}"))
        continue;
      AddText(at_, TextEnd(tag, '%', begin_sign));
      Advance(i);
      SkipEnd(end_sign != '\0' ? 3 : 2, end_sign, true);
      return {};
    }
    return Bad("{% raw %} without {% endraw %}");
  }

  Status Word(std::string& open) {
    const char c = text_[at_];
    if (c == '"' || c == '\'') return String(c);
    if (IsDigit(c)) return Number();
    if (IsNameStart(c)) {
      std::size_t end = at_ + 1;
      while (end < text_.size() && IsNamePart(text_[end])) ++end;
      return Add(Token::Kind::kName, end);
    }
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (At(two)) return Add(Token::Kind::kOperator, at_ + 2);
    }
    if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      const Utf8Step step = NextUtf8(Rest());
      return Bad("the character U+", Hex(step.letter), " is not part of the language");
    }
    RETURN_IF_ERROR(Balance(c, open));
    return Add(Token::Kind::kOperator, at_ + 1);
  }

  Status Balance(char c, std::string& open) const {
    if (c == '(' || c == '[' || c == '{') open += c;
    const char opener = c == ')' ? '(' : c == ']' ? '[' : c == '}' ? '{' : '\0';
    if (opener == '\0') return {};
    if (open.empty() || open.back() != opener) return Bad("'", c, "' closes nothing");
    open.pop_back();
    return {};
  }

  static std::string Hex(char32_t letter) {
    std::string text;
    for (int shift = 20; shift >= 0; shift -= 4) {
      const unsigned digit = static_cast<unsigned>(letter >> shift) & 15U;
      if (!text.empty() || digit != 0 || shift < 16) text += "0123456789ABCDEF"[digit];
    }
    return text;
  }

  Status Add(Token::Kind kind, std::size_t end) {
    tokens_.push_back({kind, text_.substr(at_, end - at_), line_});
    Advance(end);
    return {};
  }

  Status Number() {
    const auto digits = [this](std::size_t i) {
      while (i < text_.size() && (IsDigit(text_[i]) || text_[i] == '_')) ++i;
      return i;
    };
    std::size_t end = digits(at_);
    bool real = false;
    if (end + 1 < text_.size() && text_[end] == '.' && IsDigit(text_[end + 1])) {
      end = digits(end + 1);
      real = true;
    }
    if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
      const std::size_t sign =
          end + 1 < text_.size() && (text_[end + 1] == '+' || text_[end + 1] == '-') ? 2 : 1;
      if (end + sign < text_.size() && IsDigit(text_[end + sign])) {
        end = digits(end + sign);
        real = true;
      }
    }
    if (end < text_.size() && IsNamePart(text_[end]))
      return Bad("a number is followed by '", text_[end], "'");
    RETURN_IF_ERROR(Add(real ? Token::Kind::kFloat : Token::Kind::kInteger, end));
    std::erase(tokens_.back().text, '_');
    return {};
  }

  Status String(char quote) {
    Token token{Token::Kind::kString, "", line_};
    std::size_t i = at_ + 1;
    while (i < text_.size() && text_[i] != quote) {
      if (text_[i] != '\\') {
        token.text += text_[i++];
        continue;
      }
      if (i + 1 == text_.size()) break;
      RETURN_IF_ERROR(Escape(i, token.text));
    }
    if (i >= text_.size()) return Bad("a string that begins here does not end");
    tokens_.push_back(std::move(token));
    Advance(i + 1);
    return {};
  }

  // Python's escapes; one that it does not know stays as it is. `i`: at the backslash, which is not
  // the last character.
  Status Escape(std::size_t& i, std::string& out) const {
    constexpr std::string_view kNames = "abfnrtv\\'\"\n";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    const char c = text_[i + 1];
    if (const std::size_t known = kNames.find(c); known != std::string_view::npos) {
      if (known < kMeanings.size()) out += kMeanings[known];  // an escaped newline is nothing
      i += 2;
      return {};
    }
    const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) return HexEscape(i, digits, out);
    if (c >= '0' && c <= '7') {
      char32_t letter = 0;
      std::size_t end = i + 1;
      for (; end < text_.size() && end < i + 4 && text_[end] >= '0' && text_[end] <= '7'; ++end) {
        letter = letter * 8 + static_cast<char32_t>(text_[end] - '0');
      }
      AppendUtf8(letter, out);
      i = end;
      return {};
    }
    if (c == 'N') return Bad("the escape \\N{...} is not known; write \\u");
    out += '\\';
    ++i;
    return {};
  }

  Status HexEscape(std::size_t& i, std::size_t digits, std::string& out) const {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::uint64_t letter = 0;
    for (std::size_t d = 0; d < digits; ++d) {
      const std::size_t place = i + 2 + d;
      const char c = place < text_.size() ? text_[place] : '\0';
      const std::size_t value =
          kHex.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
      if (value == std::string_view::npos) return Bad("an escape lacks hexadecimal digits");
      letter = letter * 16 + value;
    }
    if (letter > 0x10ffff || (letter >= 0xd800 && letter <= 0xdfff))
      return Bad("an escape is not a character");
    AppendUtf8(static_cast<char32_t>(letter), out);
    i += 2 + digits;
    return {};
  }

  std::string text_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace bramble::model::text::jinja
