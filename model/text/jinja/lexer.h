#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::model::text::jinja {

struct Token {
  enum class Kind : std::uint8_t {
    kText,        // outside of tags; text: after all trimming
    kPrintBegin,  // {{
    kPrintEnd,    // }}
    kBlockBegin,  // {%
    kBlockEnd,    // %}
    kName,        // text
    kString,      // text: with its escapes resolved
    kInteger,     // text: digits
    kFloat,       // text
    kOperator,    // text
    kEnd,         // of the template
  };
  Kind kind = Kind::kEnd;
  std::string text;
  std::uint32_t line = 0;
};

// Cuts a template into tokens, with Jinja's rules for blanks as models' templates expect them:
// trim_blocks and lstrip_blocks on, the last newline dropped, every kind of newline read as \n
// (pallets/jinja, lexer.py). The last token is kEnd. InvalidArgument names the line.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace bramble::model::text::jinja
