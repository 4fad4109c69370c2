#pragma once

#include <string_view>

#include "common/status.h"
#include "model/text/jinja/ast.h"

namespace bramble::model::text::jinja {

// The statements of a template. InvalidArgument: it is not Jinja; Unimplemented: a part of Jinja
// that is not known here. Both name the line.
Result<Body> ParseTemplate(std::string_view source);

}  // namespace bramble::model::text::jinja
