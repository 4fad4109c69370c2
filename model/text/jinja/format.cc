#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "model/text/jinja/builtins.h"
#include "model/text/jinja/print.h"
#include "model/text/jinja/strings.h"

namespace bramble::model::text::jinja {
namespace {

// One conversion of a % format, with its width and precision ("%5.2f", "%-8s").
struct Conversion {
  bool left = false, zeros = false;
  int width = 0, precision = -1;
  char kind = '\0';
};

constexpr int kMaxWidth = 1000;

// Reads what stands behind the '%' at `at`, and moves `at` behind it.
Conversion ReadConversion(const std::string& text, std::size_t& at) {
  Conversion conversion;
  const auto number = [&](int& value) {
    while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < kMaxWidth) {
      value = value * 10 + (text[at++] - '0');
    }
  };
  for (; at < text.size() && (text[at] == '-' || text[at] == '0'); ++at) {
    (text[at] == '-' ? conversion.left : conversion.zeros) = true;
  }
  number(conversion.width);
  if (at < text.size() && text[at] == '.') {
    ++at;
    conversion.precision = 0;
    number(conversion.precision);
  }
  if (at < text.size()) conversion.kind = text[at++];
  return conversion;
}

MarkedString Convert(Context& context, const Conversion& conversion, const Value& value) {
  const char kind = conversion.kind;
  if (kind == 's') return ToText(context, value);
  if (kind == 'r') return ToRepr(context, value);
  double real = 0;
  if (!value.AsNumber(real)) {
    context.Fail("%", std::string(1, kind), " needs a number, not ", value.TypeName());
    return {};
  }
  std::array<char, 512> buffer{};
  std::int64_t whole = 0;
  const bool is_whole = value.AsWhole(whole);
  if (kind == 'd' || kind == 'i' || kind == 'x') {
    if (!is_whole && !(std::fabs(real) < 9e18)) {
      context.Fail("%", std::string(1, kind), " of a number that is too large");
      return {};
    }
    const auto number = static_cast<long long>(is_whole ? whole : static_cast<std::int64_t>(real));
    if (kind == 'x' && number < 0) {
      context.Fail("%x of a negative number is not known");
      return {};
    }
    std::snprintf(buffer.data(), buffer.size(), kind == 'x' ? "%llx" : "%lld", number);
  } else if (kind == 'f') {
    const int precision = conversion.precision < 0 ? 6 : std::min(conversion.precision, 100);
    std::snprintf(buffer.data(), buffer.size(), "%.*f", precision, real);
  } else {
    context.Fail("the conversion %", std::string(1, kind), " is not known");
  }
  return {buffer.data(), true};
}

}  // namespace

MarkedString FormatPercent(Context& context, const MarkedString& text,
                           const std::vector<Value>& values) {
  MarkedString out;
  std::size_t used = 0;
  const std::string& bytes = text.bytes();
  for (std::size_t at = 0; at < bytes.size() && !context.failed();) {
    const std::size_t percent = std::min(bytes.find('%', at), bytes.size());
    out.AppendPart(text, at, percent);
    if (percent == bytes.size()) break;
    at = percent + 1;
    const Conversion conversion = ReadConversion(bytes, at);
    if (conversion.kind == '%') {
      out.AppendPart(text, percent, percent + 1);
      continue;
    }
    if (used == values.size()) {
      context.Fail("a format has more conversions than values");
      break;
    }
    const MarkedString converted = Convert(context, conversion, values[used++]);
    const std::size_t characters = CountCharacters(converted.bytes());
    const auto width = static_cast<std::size_t>(std::min(conversion.width, kMaxWidth));
    const std::string fill(
        width > characters ? width - characters : 0,
        conversion.zeros && !conversion.left && conversion.kind != 's' ? '0' : ' ');
    if (!context.budget().Bytes(converted.size() + fill.size())) break;
    // Zeros stand behind the sign.
    const std::size_t sign = fill.starts_with('0') && converted.bytes().starts_with('-') ? 1 : 0;
    out.AppendPart(converted, 0, sign);
    if (!conversion.left) out.Append(fill, true);
    out.AppendPart(converted, sign, converted.size());
    if (conversion.left) out.Append(fill, true);
  }
  if (used < values.size()) context.Fail("a format has more values than conversions");
  return out;
}

MarkedString FormatBraces(Context& context, const MarkedString& text,
                          const CallArguments& arguments) {
  MarkedString out;
  std::size_t next = 0;
  const std::string& bytes = text.bytes();
  for (std::size_t at = 0; at < bytes.size() && !context.failed();) {
    const std::size_t brace = std::min(bytes.find_first_of("{}", at), bytes.size());
    out.AppendPart(text, at, brace);
    if (brace == bytes.size()) break;
    if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
      out.AppendPart(text, brace, brace + 1);
      at = brace + 2;
      continue;
    }
    const std::size_t end = bytes.find('}', brace);
    if (bytes[brace] == '}' || end == std::string::npos) {
      context.Fail("a format has a brace that is not closed");
      break;
    }
    const std::string field = bytes.substr(brace + 1, end - brace - 1);
    if (field.find_first_of(":!.[") != std::string::npos) {
      context.Fail("the format field '{", field.substr(0, 40),
                   "}' is not known; known are {}, {0} and {name}");
      break;
    }
    const Value* value = nullptr;
    if (field.empty()) {
      value = next < arguments.positional.size() ? &arguments.positional[next] : nullptr;
      ++next;
    } else if (field.find_first_not_of("0123456789") == std::string::npos && field.size() < 5) {
      const auto index = static_cast<std::size_t>(std::stoul(field));
      value = index < arguments.positional.size() ? &arguments.positional[index] : nullptr;
    } else {
      for (const auto& [name, named] : arguments.named) value = name == field ? &named : value;
    }
    if (value == nullptr) {
      context.Fail("a format has no value for '{", field.substr(0, 40), "}'");
      break;
    }
    const MarkedString converted = ToText(context, *value);
    if (!context.budget().Bytes(converted.size())) break;
    out.Append(converted);
    at = end + 1;
  }
  return out;
}

}  // namespace bramble::model::text::jinja
