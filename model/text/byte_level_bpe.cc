#include <string>
#include <unordered_map>
#include <utility>

#include "model/text/algorithm.h"
#include "model/text/merges.h"
#include "model/text/splitter.h"
#include "model/text/unicode.h"

namespace bramble::model::text {
namespace {

// GPT-2's way: the text is split by expressions, the bytes of each part are merged.
class ByteLevelBpe : public Algorithm {
 public:
  ByteLevelBpe(const Vocabulary& vocabulary, Splitter splitter, MergeTable merges)
      : vocabulary_(vocabulary), splitter_(std::move(splitter)), merges_(std::move(merges)) {
    if (!vocabulary.spec().ignore_merges.value_or(false)) return;
    whole_.reserve(vocabulary.size());
    for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.Type(id) == TokenType::kNormal) whole_.try_emplace(vocabulary.Bytes(id), id);
    }
  }

  Status Encode(std::string_view text, Place place,
                std::vector<std::uint32_t>& ids) const override {
    const VocabularySpec& spec = vocabulary_.spec();
    std::string changed;
    if (spec.unicode_form != UnicodeForm::kNone) {
      ASSIGN_OR_RETURN(changed, NormalForm(text, spec.unicode_form));
      text = changed;
    }
    const bool first_only = spec.space_prefix_first_only;
    if (*spec.add_space_prefix && !text.starts_with(' ') &&
        (place == Place::kFirst || !first_only)) {
      changed = std::string(1, ' ').append(text);
      text = changed;
    }
    std::vector<std::string_view> parts;
    RETURN_IF_ERROR(splitter_.Split(text, parts));
    Merger merger(merges_);
    std::vector<std::uint32_t> symbols;
    for (const std::string_view part : parts) {
      if (const auto whole = whole_.find(part); whole != whole_.end()) {
        ids.push_back(whole->second);
        continue;
      }
      symbols.clear();
      for (const char byte : part) {
        // A vocabulary without a letter for some byte and without an unknown token leaves the byte
        // out, as the reference (Hugging Face tokenizers) does.
        const auto id = vocabulary_.ByteToken(static_cast<unsigned char>(byte));
        if (id.has_value()) {
          symbols.push_back(*id);
        } else if (vocabulary_.unknown().has_value()) {
          symbols.push_back(*vocabulary_.unknown());
        }
      }
      merger.Merge(symbols, ids);
    }
    return {};
  }

 private:
  const Vocabulary& vocabulary_;
  Splitter splitter_;
  MergeTable merges_;
  std::unordered_map<std::string_view, std::uint32_t> whole_;  // only with ignore_merges
};

}  // namespace

Result<std::unique_ptr<Algorithm>> MakeByteLevelBpe(const Vocabulary& vocabulary) {
  ASSIGN_OR_RETURN(Splitter splitter, Splitter::Create(vocabulary.spec().splits));
  ASSIGN_OR_RETURN(MergeTable merges, MergeTable::Create(vocabulary));
  return std::unique_ptr<Algorithm>(
      std::make_unique<ByteLevelBpe>(vocabulary, std::move(splitter), std::move(merges)));
}

}  // namespace bramble::model::text
