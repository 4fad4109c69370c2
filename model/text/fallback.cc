#include "model/text/fallback.h"

namespace bramble::model::text {

void AppendUnknown(const Vocabulary& vocabulary, std::string_view text, bool& unknown_run,
                   std::vector<std::uint32_t>& ids) {
  bool all = true;
  for (const char byte : text)
    all = all && vocabulary.ByteToken(static_cast<unsigned char>(byte)).has_value();
  if (all) {
    for (const char byte : text)
      ids.push_back(*vocabulary.ByteToken(static_cast<unsigned char>(byte)));
    unknown_run = false;
    return;
  }
  if (!unknown_run && vocabulary.unknown().has_value()) ids.push_back(*vocabulary.unknown());
  unknown_run = true;
}

Status CheckFallback(const Vocabulary& vocabulary) {
  if (vocabulary.unknown().has_value()) return {};
  for (unsigned byte = 0; byte < 256; ++byte) {
    // These never occur in UTF-8.
    if (byte == 0xc0 || byte == 0xc1 || byte > 0xf4) continue;
    if (!vocabulary.ByteToken(static_cast<unsigned char>(byte)).has_value()) {
      return Invalid("the vocabulary has no unknown token, and no token for the byte ", byte,
                     ": some text could not be tokenized");
    }
  }
  return {};
}

}  // namespace bramble::model::text
