#pragma once

#include <string>
#include <vector>

namespace bramble::model::text {

// A stretch of a rendered prompt, and who wrote it. Special tokens are recognized only in text that
// the model's own chat template wrote: what a client typed stays text, whatever it spells.
struct MarkedText {
  std::string text;            // UTF-8
  bool from_template = false;  // false: from the caller's messages, tools or variables
};

// All stretches joined: what a reference implementation would have rendered.
std::string JoinedText(const std::vector<MarkedText>& parts);

}  // namespace bramble::model::text
