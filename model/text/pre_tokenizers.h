#pragma once

#include <span>
#include <string_view>

namespace bramble::model::text {

// How a byte-level BPE model splits text before it merges, by GGUF's `tokenizer.ggml.pre`.
struct PreTokenizer {
  std::string_view name;
  std::span<const std::string_view> splits;  // PCRE2, applied in order (splitter.h)
  bool ignore_merges = false;                // a part that is a token as a whole is taken whole
  bool add_bos = false;                      // EncodePrompt adds BOS where the file does not say
  bool add_separator = false;                // and EOS
  bool byte_level =
      true;  // false: letters as they are, spaces as U+2581, byte tokens for what is missing
};

// The row of that name; nullptr if there is none. An empty name is "default", as files older than
// the key mean it.
const PreTokenizer* FindPreTokenizer(std::string_view name);

std::span<const PreTokenizer> PreTokenizers();

}  // namespace bramble::model::text
