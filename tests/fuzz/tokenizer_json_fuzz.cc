// Whatever a tokenizer.json says, reading it gives a tokenizer or a status; a tokenizer tokenizes
// without a crash.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/check.h"
#include "model/text/tokenizer.h"
#include "model/text/vocabulary.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model::text;  // NOLINT(google-build-using-namespace): one function, all
                                         // of it
  auto spec = ReadTokenizerJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!spec.ok()) {
    CHECK(spec.status().message().size() < 2000);
    return 0;
  }
  const auto tokenizer = MakeTokenizer(*std::move(spec));
  if (!tokenizer.ok()) {
    CHECK(tokenizer.status().message().size() < 2000);
    return 0;
  }
  for (const char* text : {"", "Hello, world  12345\n\xe4\xbd\xa0\xe2\x96\x81",
                           "<s>a</s> <|im_end|>", "aaaaaaaaaaaaaaaa bbbb"}) {
    for (const Specials specials : {Specials::kParse, Specials::kAsText}) {
      const auto ids = (*tokenizer)->EncodePrompt(text, specials);
      if (!ids.ok()) continue;
      for (const auto id : *ids) CHECK(id < (*tokenizer)->vocabulary_size());
      static_cast<void>((*tokenizer)->Decode(*ids));
    }
  }
  return 0;
}
