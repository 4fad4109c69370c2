#include <algorithm>
#include <string>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"
#include "model/text/utf8.h"

namespace bramble::model::text::jinja {
namespace {

Value String(Context& context, const Value& input, const Bound&) {
  return context.NewText(ToText(context, input));
}

Value Safe(Context& context, const Value& input, const Bound& arguments) {
  return input.AsText() != nullptr ? input : String(context, input, arguments);
}

Value Trim(Context& context, const Value& input, const Bound& arguments) {
  MarkedString characters;
  const Value* given = arguments.At(0);
  const bool blanks = given == nullptr || given->IsNone();
  if (!blanks && !arguments.Text(context, 0, "the argument of trim", characters)) return {};
  const MarkedString text = ToText(context, input);
  if (!context.budget().Step(1 + text.size() * (1 + characters.size() / 64) / 64)) return {};
  return context.NewText(Strip(text, blanks ? nullptr : &characters, true, true));
}

template <LetterCase how>
Value Case(Context& context, const Value& input, const Bound&) {
  return context.NewText(ChangeCase(context, ToText(context, input), how));
}

Value ReplaceFilter(Context& context, const Value& input, const Bound& arguments) {
  MarkedString old;
  MarkedString by;
  if (!arguments.Text(context, 0, "what to replace", old) ||
      !arguments.Text(context, 1, "the replacement", by))
    return {};
  const Value* count = arguments.At(2);
  const std::int64_t most = count == nullptr || count->IsNone()
                                ? -1
                                : arguments.Whole(context, 2, "the limit of replace", -1);
  return context.NewText(Replace(context, ToText(context, input), old, by, most));
}

// The entities of MarkupSafe. (Jinja marks the result as safe; nothing is escaped by itself here,
// so it is plain text.)
Value Escape(Context& context, const Value& input, const Bound&) {
  constexpr std::string_view kLetters = "&<>'\"";
  constexpr const char* kEntities[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
  const MarkedString text = ToText(context, input);
  MarkedString out;
  if (!context.budget().Bytes(text.size())) return {};
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size() && !context.failed(); ++at) {
    const std::size_t found = kLetters.find(text.bytes()[at]);
    if (found == std::string_view::npos) continue;
    out.AppendPart(text, begin, at);
    if (context.budget().Bytes(5)) out.Append(kEntities[found], text.IsTrusted(at));
    begin = at + 1;
  }
  out.AppendPart(text, begin, text.size());
  return context.NewText(std::move(out));
}

// Blanks in front of each line but the first; lines without text stay empty.
Value Indent(Context& context, const Value& input, const Bound& arguments) {
  std::string blanks = "    ";
  if (const Value* width = arguments.At(0)) {
    const std::int64_t count =
        width->AsText() != nullptr ? 0 : arguments.Whole(context, 0, "the width of indent", 4);
    if (count < 0 || count > 1000)
      return context.Fail("the width of indent is ", count, ", it must be 0 to 1000");
    blanks = width->AsText() != nullptr ? width->AsText()->bytes()
                                        : std::string(static_cast<std::size_t>(count), ' ');
  }
  const bool first_too = arguments.Flag(1, false);
  const bool blank_too = arguments.Flag(2, false);
  const MarkedString text = ToText(context, input);
  const std::vector<Value> lines = SplitLines(context, text, true);
  MarkedString out;
  for (std::size_t i = 0; i < lines.size() && !context.failed(); ++i) {
    const MarkedString& line = *lines[i].AsText();
    const bool has_text = line.bytes().find_first_not_of("\r\n") != std::string::npos;
    if (!context.budget().Bytes(line.size() + blanks.size())) return {};
    if (i == 0 ? first_too : has_text || blank_too) out.Append(blanks, true);
    out.Append(line);
  }
  return context.NewText(std::move(out));
}

Value ToJsonFilter(Context& context, const Value& input, const Bound& arguments) {
  JsonStyle style;
  style.ascii = arguments.Flag(0, false);
  style.sort_keys = arguments.Flag(3, false);
  if (const Value* indent = arguments.At(1); indent != nullptr && !indent->IsNone()) {
    const std::int64_t width = arguments.Whole(context, 1, "the indent of tojson", 0);
    if (width < 0 || width > 64)
      return context.Fail("the indent of tojson is ", width, ", it must be 0 to 64");
    style.indent = static_cast<int>(width);
    style.item_separator.assign(1, ',');
  }
  if (const Value* separators = arguments.At(2); separators != nullptr && !separators->IsNone()) {
    const List* pair = separators->AsList();
    const bool good = pair != nullptr && pair->items.size() == 2 &&
                      pair->items[0].AsText() != nullptr && pair->items[1].AsText() != nullptr;
    if (!good) return context.Fail("the separators of tojson are not two strings");
    style.item_separator = pair->items[0].AsText()->bytes();
    style.key_separator = pair->items[1].AsText()->bytes();
  }
  return context.NewText(ToJson(context, input, style));
}

Value FormatFilter(Context& context, const Value& input, const Bound& arguments) {
  if (!arguments.all().named.empty()) return context.Fail("format by names is not known");
  return context.NewText(
      FormatPercent(context, ToText(context, input), arguments.all().positional));
}

// Parts of text that are made of letters, digits and '_'.
Value WordCount(Context& context, const Value& input, const Bound&) {
  const MarkedString text = ToText(context, input);
  return Value(static_cast<std::int64_t>(Split(context, text, nullptr, -1).size()));
}

Value Truncate(Context& context, const Value& input, const Bound& arguments) {
  const std::int64_t length = arguments.Whole(context, 0, "the length of truncate", 255);
  const bool cut_words = arguments.Flag(1, false);
  MarkedString end("...", true);
  if (!arguments.Text(context, 2, "the end of truncate", end)) return {};
  const std::int64_t leeway = arguments.Whole(context, 3, "the leeway of truncate", 5);
  const MarkedString text = ToText(context, input);
  const std::vector<std::uint32_t> begins = Characters(context, text);
  if (begins.empty()) return {};
  const auto size = static_cast<std::int64_t>(begins.size()) - 1;
  const auto end_size = static_cast<std::int64_t>(CountCharacters(end.bytes()));
  if (length < end_size || length > (1 << 30) || leeway < 0 || leeway > (1 << 30)) {
    return context.Fail("truncate to ", length, " characters is not possible");
  }
  if (size <= length + leeway) return context.NewText(text);
  MarkedString cut = text.Part(0, begins[static_cast<std::size_t>(length - end_size)]);
  const std::size_t space = cut.bytes().rfind(' ');
  if (!cut_words && space != std::string::npos) cut = cut.Part(0, space);
  cut.Append(end);
  return context.NewText(std::move(cut));
}

constexpr Builtin kRows[] = {
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", ToJsonFilter},
    {"trim", "chars?", Trim},
    {"string", "", String},
    {"safe", "", Safe},
    {"escape", "", Escape},
    {"e", "", Escape},
    {"upper", "", Case<LetterCase::kUpper>},
    {"lower", "", Case<LetterCase::kLower>},
    {"title", "", Case<LetterCase::kWords>},
    {"capitalize", "", Case<LetterCase::kCapitalize>},
    {"replace", "old new count?", ReplaceFilter},
    {"indent", "width? first? blank?", Indent},
    {"format", "*", FormatFilter},
    {"wordcount", "", WordCount},
    {"truncate", "length? killwords? end? leeway?", Truncate},
};

}  // namespace

const Builtin* FindTextFilter(std::string_view name) { return FindRow(kRows, name); }

}  // namespace bramble::model::text::jinja
