#pragma once

#include <string>

#include "model/text/jinja/context.h"
#include "model/text/jinja/value.h"

namespace bramble::model::text::jinja {

// Python's str(): what `{{ value }}` prints. A context error for what only Python could print
// (functions, loops).
MarkedString ToText(Context& context, const Value& value);

// Python's repr(): how a list prints what is in it.
MarkedString ToRepr(Context& context, const Value& value);

// Python's repr of a float: the shortest digits that give it back.
std::string FloatText(double number);

struct JsonStyle {
  bool ascii = false;      // \u escapes for all that is not ASCII
  bool sort_keys = false;  // else in their order
  int indent = -1;         // blanks a level; -1: all in one line
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};

// Python's json.dumps, with transformers' defaults.
MarkedString ToJson(Context& context, const Value& value, const JsonStyle& style);

}  // namespace bramble::model::text::jinja
