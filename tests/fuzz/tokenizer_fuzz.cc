// Text that nobody expected, through a tokenizer of every kind; and the reader of SentencePiece
// files. The first byte chooses: 0 to 2, a kind, and the rest is text; anything else: the rest is a
// SentencePiece model.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/check.h"
#include "model/text/byte_letters.h"
#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"
#include "model/text/utf8.h"
#include "model/text/vocabulary.h"

namespace bramble::model::text {
namespace {

std::unique_ptr<Tokenizer> Make(VocabularyKind kind) {
  VocabularySpec spec;
  spec.kind = kind;
  spec.pre = "llama-bpe";
  spec.add_space_prefix = false;
  spec.remove_extra_spaces = false;
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (unsigned byte = 0; byte < 256; ++byte) {
    const std::string name = {'<', '0', 'x', kHex[byte >> 4U], kHex[byte & 15U], '>'};
    const bool letters = kind == VocabularyKind::kByteLevelBpe;
    spec.tokens.push_back(letters ? std::string(LetterOfByte(static_cast<unsigned char>(byte)))
                                  : name);
    spec.types.push_back(letters ? TokenType::kNormal : TokenType::kByte);
  }
  for (const char* token : {"aa", "aaaa", "ab"}) spec.tokens.emplace_back(token);
  if (kind != VocabularyKind::kByteLevelBpe) {
    for (const char* token : {"a", "b", "\xe2\x96\x81"}) spec.tokens.emplace_back(token);
  }
  spec.types.resize(spec.tokens.size(), TokenType::kNormal);
  for (const char* token : {"<s>", "</s>", "<|x|>"}) spec.tokens.emplace_back(token);
  spec.types.resize(spec.tokens.size(), TokenType::kControl);
  if (kind == VocabularyKind::kByteLevelBpe) {
    spec.merges = {"a a", "aa aa", "a b"};
  } else {
    for (std::size_t i = 0; i < spec.tokens.size(); ++i)
      spec.scores.push_back(-static_cast<float>(i % 7));
  }
  auto made = MakeTokenizer(std::move(spec));
  CHECK(made.ok());
  return *std::move(made);
}

void TryText(const Tokenizer& tokenizer, std::string_view text) {
  const auto plain = tokenizer.Encode(text, Specials::kAsText);
  CHECK(plain.ok());
  for (const auto id : *plain) CHECK(id < tokenizer.vocabulary_size() && !tokenizer.IsControl(id));
  std::string expected = ReplaceInvalidUtf8(text);
  // A typed U+2581 comes back as a space where spaces are written so.
  if (tokenizer.Find("<0x00>").has_value()) {
    for (std::size_t at = expected.find("\xe2\x96\x81"); at != std::string::npos;) {
      expected.replace(at, 3, " ");
      at = expected.find("\xe2\x96\x81", at);
    }
  }
  CHECK(tokenizer.Decode(*plain) == expected);
  // Trusted in halves: a control token may only come from the trusted half.
  const std::vector<MarkedText> parts = {{std::string(text.substr(0, text.size() / 2)), true},
                                         {std::string(text.substr(text.size() / 2)), false}};
  const auto marked = tokenizer.EncodeMarked(parts);
  const auto half = tokenizer.Encode(text.substr(0, text.size() / 2), Specials::kParse);
  CHECK(marked.ok() && half.ok());
  const auto controls = [&tokenizer](const std::vector<std::uint32_t>& ids) {
    std::size_t count = 0;
    for (const auto id : ids) count += tokenizer.IsControl(id) ? 1 : 0;
    return count;
  };
  CHECK(controls(*marked) <= controls(*half));
}

}  // namespace
}  // namespace bramble::model::text

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble::model::text;  // NOLINT(google-build-using-namespace): one function, all
                                         // of it
  static const std::unique_ptr<Tokenizer> tokenizers[] = {
      Make(VocabularyKind::kByteLevelBpe), Make(VocabularyKind::kSentencePieceBpe),
      Make(VocabularyKind::kSentencePieceUnigram)};
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] < 3) {
    TryText(*tokenizers[data[0]], rest);
    return 0;
  }
  auto spec = ReadSentencePieceModel(std::as_bytes(std::span(rest.data(), rest.size())));
  if (!spec.ok()) return 0;
  const auto tokenizer = MakeTokenizer(*std::move(spec));
  if (!tokenizer.ok()) return 0;
  const auto ids =
      (*tokenizer)->EncodePrompt("Hello  world 12\n\xe4\xbd\xa0 </s>", Specials::kParse);
  if (ids.ok()) static_cast<void>((*tokenizer)->Decode(*ids));
  return 0;
}
