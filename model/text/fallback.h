#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/text/checked_vocabulary.h"

namespace bramble::model::text {

// Appends the ids for text without a token: its bytes, where the vocabulary has a token for each,
// else the unknown token, of which SentencePiece makes only one for a run: `unknown_run` says
// whether the last id was one, and is updated.
void AppendUnknown(const Vocabulary& vocabulary, std::string_view text, bool& unknown_run,
                   std::vector<std::uint32_t>& ids);

// InvalidArgument if the vocabulary has neither an unknown token nor a token for every byte: some
// text would vanish.
Status CheckFallback(const Vocabulary& vocabulary);

}  // namespace bramble::model::text
