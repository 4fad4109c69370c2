#include "model/text/tokenizer.h"

#include <algorithm>
#include <utility>

#include "model/text/algorithm.h"
#include "model/text/checked_vocabulary.h"
#include "model/text/special_tokens.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

// Spellings of control tokens after which answers end, where a file names only one of several
// (llama.cpp keeps a like list, llama-vocab.cpp). Only control tokens count: a word that is merely
// spelled so is a word.
constexpr std::string_view kEndSpellings[] = {
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<EOT>",
    "<|end_of_text|>",
    "<|return|>",
    "<|call|>",
    "<end_of_utterance>",
    "<|END_OF_TURN_TOKEN|>",
    "<|eot|>",
    "<|eom|>",
    "<|EOT|>",
    "<turn|>",
    "<｜end▁of▁sentence｜>",
    "[EOT]",
};

class VocabularyTokenizer : public Tokenizer {
 public:
  VocabularyTokenizer(std::unique_ptr<Vocabulary> vocabulary, std::unique_ptr<Algorithm> algorithm)
      : vocabulary_(std::move(vocabulary)),
        algorithm_(std::move(algorithm)),
        specials_(*vocabulary_) {
    FindEndIds();
  }

  Result<std::vector<std::uint32_t>> Encode(std::string_view text,
                                            Specials specials) const override {
    RETURN_IF_ERROR(CheckLength(text.size()));
    std::vector<std::size_t> trusted;
    if (specials == Specials::kParse) trusted.push_back(0);
    if (IsUtf8(text)) return EncodeTrusted(text, trusted);
    return EncodeTrusted(ReplaceInvalidUtf8(text), trusted);
  }

  Result<std::vector<std::uint32_t>> EncodeMarked(
      std::span<const MarkedText> parts) const override {
    std::string text;
    std::vector<std::size_t> trusted;
    bool in_template = false;
    for (const MarkedText& part : parts) {
      if (part.text.empty()) continue;
      if (part.from_template != in_template) {
        trusted.push_back(text.size());
        in_template = part.from_template;
      }
      // Replaced part by part: a character that is cut between two is no character.
      text += IsUtf8(part.text) ? part.text : ReplaceInvalidUtf8(part.text);
      RETURN_IF_ERROR(CheckLength(text.size()));
    }
    return EncodeTrusted(text, trusted);
  }

  Result<std::vector<std::uint32_t>> EncodePrompt(std::string_view text,
                                                  Specials specials) const override {
    ASSIGN_OR_RETURN(std::vector<std::uint32_t> ids, Encode(text, specials));
    const VocabularySpec& spec = vocabulary_->spec();
    std::vector<std::uint32_t> prefix = spec.prompt_prefix;
    if (prefix.empty() && *spec.add_bos && spec.bos.has_value()) prefix.push_back(*spec.bos);
    if (!std::equal(
            prefix.begin(), prefix.end(), ids.begin(),
            ids.begin() + static_cast<std::ptrdiff_t>(std::min(prefix.size(), ids.size())))) {
      ids.insert(ids.begin(), prefix.begin(), prefix.end());
    }
    if (!spec.prompt_suffix.empty()) {
      ids.insert(ids.end(), spec.prompt_suffix.begin(), spec.prompt_suffix.end());
    } else if (*spec.add_eos && spec.eos.has_value()) {
      ids.push_back(*spec.eos);
    }
    return ids;
  }

  std::string_view Bytes(std::uint32_t id) const override {
    return id < vocabulary_->size() ? vocabulary_->Bytes(id) : std::string_view();
  }
  std::string_view Spelling(std::uint32_t id) const override {
    return id < vocabulary_->size() ? std::string_view(vocabulary_->Spelling(id))
                                    : std::string_view();
  }
  std::optional<std::uint32_t> Find(std::string_view spelling) const override {
    return vocabulary_->Find(spelling);
  }
  bool IsControl(std::uint32_t id) const override {
    return id < vocabulary_->size() && vocabulary_->Type(id) == TokenType::kControl;
  }
  std::uint32_t vocabulary_size() const override { return vocabulary_->size(); }
  std::optional<std::uint32_t> bos() const override { return vocabulary_->spec().bos; }
  std::optional<std::uint32_t> eos() const override { return vocabulary_->spec().eos; }
  const std::vector<std::uint32_t>& EndIds() const override { return end_ids_; }

 private:
  bool StripsSpacePrefix() const override {
    const VocabularySpec& spec = vocabulary_->spec();
    return *spec.add_space_prefix || *spec.remove_extra_spaces ||
           spec.kind == VocabularyKind::kWordPiece;
  }
  bool StripsAllLeadingSpaces() const override { return *vocabulary_->spec().remove_extra_spaces; }

  bool BeginsWithMark(std::uint32_t id) const override {
    if (!Bytes(id).starts_with(' ')) return false;
    const TokenType type = vocabulary_->Type(id);
    return type != TokenType::kUnknown && type != TokenType::kByte;
  }

  static Status CheckLength(std::size_t bytes) {
    if (bytes <= kMaxTextBytes) return {};
    return Invalid("the text has ", bytes, " bytes, at most ", kMaxTextBytes,
                   " can be tokenized at once");
  }

  Result<std::vector<std::uint32_t>> EncodeTrusted(std::string_view text,
                                                   const std::vector<std::size_t>& trusted) const {
    std::vector<std::uint32_t> ids;
    Place place = Place::kFirst;
    for (std::size_t at = 0; at < text.size();) {
      const auto special = specials_.Next(text, at, trusted);
      const std::size_t end = special.has_value() ? special->text_before : text.size();
      if (end > at) RETURN_IF_ERROR(algorithm_->Encode(text.substr(at, end - at), place, ids));
      if (!special.has_value()) break;
      ids.push_back(special->id);
      place = Place::kAfterSpecial;
      at = special->text_behind;
    }
    return ids;
  }

  void FindEndIds() {
    const VocabularySpec& spec = vocabulary_->spec();
    for (const auto& id : {spec.eos, spec.end_of_turn, spec.end_of_message}) {
      if (id.has_value()) end_ids_.push_back(*id);
    }
    for (const std::string_view spelling : kEndSpellings) {
      const auto id = vocabulary_->Find(spelling);
      if (id.has_value() && vocabulary_->Type(*id) == TokenType::kControl) end_ids_.push_back(*id);
    }
    std::sort(end_ids_.begin(), end_ids_.end());
    end_ids_.erase(std::unique(end_ids_.begin(), end_ids_.end()), end_ids_.end());
  }

  std::unique_ptr<Vocabulary> vocabulary_;  // the algorithm points into it
  std::unique_ptr<Algorithm> algorithm_;
  SpecialTokens specials_;
  std::vector<std::uint32_t> end_ids_;
};

Result<std::unique_ptr<Algorithm>> MakeAlgorithm(const Vocabulary& vocabulary) {
  switch (vocabulary.spec().kind) {
    case VocabularyKind::kByteLevelBpe:
      return MakeByteLevelBpe(vocabulary);
    case VocabularyKind::kSentencePieceBpe:
      return MakeSentencePieceBpe(vocabulary);
    case VocabularyKind::kSentencePieceUnigram:
      return MakeUnigram(vocabulary);
    case VocabularyKind::kWordPiece:
      return MakeWordPiece(vocabulary);
  }
  return Invalid("the kind of the vocabulary is ", static_cast<int>(vocabulary.spec().kind),
                 ", which is not known");
}

}  // namespace

std::string JoinedText(const std::vector<MarkedText>& parts) {
  std::string text;
  for (const MarkedText& part : parts) text += part.text;
  return text;
}

Result<std::unique_ptr<Tokenizer>> MakeTokenizer(VocabularySpec spec) {
  ASSIGN_OR_RETURN(Vocabulary checked, Vocabulary::Create(std::move(spec)));
  auto vocabulary = std::make_unique<Vocabulary>(std::move(checked));
  ASSIGN_OR_RETURN(auto algorithm, MakeAlgorithm(*vocabulary));
  return std::unique_ptr<Tokenizer>(
      std::make_unique<VocabularyTokenizer>(std::move(vocabulary), std::move(algorithm)));
}

}  // namespace bramble::model::text
