#pragma once

#include "model/text/jinja/ast.h"
#include "model/text/jinja/context.h"
#include "model/text/jinja/value.h"

namespace bramble::model::text::jinja {

// left operator right, as Python calculates: `+` joins texts and lists, `//` and `%` round down,
// `%` formats texts. Whole numbers have 64 bits; a result beyond them is a context error, and so is
// a division by zero. `left` may be changed in place where nobody else holds it, so that a chain of
// joins costs what its result has.
Value Calculate(Context& context, Operator op, Value left, const Value& right);

// -value.
Value Negate(Context& context, const Value& value);

// left operator right, for the six comparisons and `in`.
bool Compare(Context& context, Operator op, const Value& left, const Value& right);

}  // namespace bramble::model::text::jinja
