#include "model/text/jinja/print.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text::jinja {
namespace {

std::string HexDigits(std::uint32_t value, int digits) {
  std::string text;
  for (int i = digits - 1; i >= 0; --i) text += "0123456789abcdef"[value >> (4 * i) & 15U];
  return text;
}

// Punctuation, numbers and names of constants are ours; texts keep their marks.
class Printer {
 public:
  explicit Printer(Context& context) : context_(context) {}

  void Repr(const Value& value) {
    if (context_.failed() || !Pay(16)) return;
    if (const MarkedString* text = value.AsText()) return ReprText(*text);
    if (const List* list = value.AsList()) {
      Ours(list->is_tuple ? "(" : "[");
      for (std::size_t i = 0; i < list->items.size() && !context_.failed(); ++i) {
        if (i > 0) Ours(", ");
        Repr(list->items[i]);
      }
      return Ours(!list->is_tuple ? "]" : list->items.size() == 1 ? ",)" : ")");
    }
    if (const Dict* dict = value.AsDict()) {
      Ours("{");
      for (std::size_t i = 0; i < dict->size() && !context_.failed(); ++i) {
        if (i > 0) Ours(", ");
        Repr(dict->entries()[i].key);
        Ours(": ");
        Repr(dict->entries()[i].value);
      }
      return Ours("}");
    }
    if (value.IsUndefined()) return Ours("Undefined");
    Plain(value, "True", "False", "None");
  }

  void Json(const Value& value, const JsonStyle& style, int level) {
    if (context_.failed() || !Pay(16)) return;
    if (const MarkedString* text = value.AsText()) return JsonText(*text, style);
    if (const List* list = value.AsList()) {
      if (list->items.empty()) return Ours("[]");
      Ours("[");
      for (std::size_t i = 0; i < list->items.size() && !context_.failed(); ++i) {
        if (i > 0) Ours(style.item_separator);
        NewLine(style, level + 1);
        Json(list->items[i], style, level + 1);
      }
      NewLine(style, level);
      return Ours("]");
    }
    if (const Dict* dict = value.AsDict()) return JsonDict(*dict, style, level);
    if (value.IsUndefined()) {
      context_.Fail("an undefined value cannot be written as JSON");
      return;
    }
    if (const double* real = value.As<double>(); real != nullptr && !std::isfinite(*real)) {
      return Ours(std::isnan(*real) ? "NaN" : *real > 0 ? "Infinity" : "-Infinity");
    }
    Plain(value, "true", "false", "null");
  }

  MarkedString Take() { return std::move(out_); }

 private:
  bool Pay(std::size_t bytes) { return context_.budget().Bytes(bytes); }
  void Ours(std::string_view bytes) {
    if (Pay(bytes.size())) out_.Append(bytes, true);
  }

  void Plain(const Value& value, const char* yes, const char* no, const char* none) {
    if (value.IsNone()) {
      Ours(none);
    } else if (const bool* flag = value.As<bool>()) {
      Ours(*flag ? yes : no);
    } else if (const auto* whole = value.As<std::int64_t>()) {
      Ours(std::to_string(*whole));
    } else if (const double* real = value.As<double>()) {
      Ours(FloatText(*real));
    } else {
      context_.Fail("a value of type ", value.TypeName(), " cannot be printed");
    }
  }

  // Calls escape(letter) for each character; an empty answer leaves it as it is.
  template <typename Escape>
  void Escaped(const MarkedString& text, Escape escape) {
    std::size_t begin = 0;
    std::size_t at = 0;
    while (at < text.size()) {
      const Utf8Step step = NextUtf8(std::string_view(text.bytes()).substr(at));
      const std::string instead = escape(step.letter);
      if (!instead.empty()) {
        out_.AppendPart(text, begin, at);
        if (!Pay(instead.size())) return;
        out_.Append(instead, text.IsTrusted(at));
        begin = at + step.bytes;
      }
      at += step.bytes;
    }
    if (Pay(text.size())) out_.AppendPart(text, begin, text.size());
  }

  void ReprText(const MarkedString& text) {
    const bool has_single = text.bytes().find('\'') != std::string::npos;
    const char quote = has_single && text.bytes().find('"') == std::string::npos ? '"' : '\'';
    const std::string mark(1, quote);
    Ours(mark);
    Escaped(text, [quote](char32_t letter) -> std::string {
      if (letter == static_cast<char32_t>(quote)) return {'\\', quote};
      if (letter == '\\') return "\\\\";
      if (letter == '\n') return "\\n";
      if (letter == '\r') return "\\r";
      if (letter == '\t') return "\\t";
      if (IsPythonPrintable(letter)) return {};
      if (letter < 0x100) return std::string("\\x").append(HexDigits(letter, 2));
      if (letter < 0x10000) return std::string("\\u").append(HexDigits(letter, 4));
      return std::string("\\U").append(HexDigits(letter, 8));
    });
    Ours(mark);
  }

  void JsonText(const MarkedString& text, const JsonStyle& style) {
    Ours("\"");
    const bool ascii = style.ascii;
    Escaped(text, [ascii](char32_t letter) -> std::string {
      constexpr std::string_view kShort = "\"\\\n\r\t\b\f";
      const std::size_t found =
          letter < 0x80 ? kShort.find(static_cast<char>(letter)) : std::string_view::npos;
      if (found != std::string_view::npos) return {'\\', "\"\\nrtbf"[found]};
      if (letter < 0x20 || (ascii && letter > 0x7e && letter < 0x10000)) {
        if (letter != 0x7f) return std::string("\\u").append(HexDigits(letter, 4));
      }
      if (ascii && letter >= 0x10000) {
        return std::string("\\u")
            .append(HexDigits(0xd800 + ((letter - 0x10000) >> 10U), 4))
            .append("\\u")
            .append(HexDigits(0xdc00 + ((letter - 0x10000) & 0x3ffU), 4));
      }
      return {};
    });
    Ours("\"");
  }

  void JsonDict(const Dict& dict, const JsonStyle& style, int level) {
    if (dict.size() == 0) return Ours("{}");
    std::vector<const Dict::Entry*> entries;
    for (const Dict::Entry& entry : dict.entries()) entries.push_back(&entry);
    if (style.sort_keys) {
      std::stable_sort(entries.begin(), entries.end(),
                       [this](const Dict::Entry* a, const Dict::Entry* b) {
                         bool comparable = true;
                         return Less(a->key, b->key, context_.budget(), comparable);
                       });
    }
    Ours("{");
    for (std::size_t i = 0; i < entries.size() && !context_.failed(); ++i) {
      if (i > 0) Ours(style.item_separator);
      NewLine(style, level + 1);
      if (const MarkedString* key = entries[i]->key.AsText()) {
        JsonText(*key, style);
      } else {
        Ours("\"");
        Plain(entries[i]->key, "true", "false", "null");
        Ours("\"");
      }
      Ours(style.key_separator);
      Json(entries[i]->value, style, level + 1);
    }
    NewLine(style, level);
    Ours("}");
  }

  void NewLine(const JsonStyle& style, int level) {
    if (style.indent < 0) return;
    Ours(std::string(1, '\n').append(
        static_cast<std::size_t>(style.indent) * static_cast<std::size_t>(level), ' '));
  }

  Context& context_;
  MarkedString out_;
};

}  // namespace

std::string FloatText(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                     std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  const std::size_t e = text.find('e');
  int exponent = 0;
  const char* digits = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(digits, text.data() + text.size(), exponent);
  // Python writes exponents below -4 and from 16 on.
  if (exponent < -4 || exponent >= 16) return std::string(text);
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::fixed);
  std::string result(buffer.data(), static_cast<std::size_t>(fixed.ptr - buffer.data()));
  if (result.find('.') == std::string::npos) result += ".0";
  return result;
}

MarkedString ToText(Context& context, const Value& value) {
  if (const MarkedString* text = value.AsText()) {
    return context.budget().Step(text->size() / 256) ? *text : MarkedString();
  }
  if (value.IsUndefined()) return {};
  return ToRepr(context, value);
}

MarkedString ToRepr(Context& context, const Value& value) {
  Printer printer(context);
  printer.Repr(value);
  return printer.Take();
}

MarkedString ToJson(Context& context, const Value& value, const JsonStyle& style) {
  Printer printer(context);
  printer.Json(value, style, 0);
  return printer.Take();
}

}  // namespace bramble::model::text::jinja
