#include <algorithm>
#include <string>
#include <vector>

#include "model/text/algorithm.h"
#include "model/text/unicode.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

// A word costs the cube of its length. BERT has 100.
constexpr std::uint32_t kMaxWordLetters = 256;

// BERT's cleaning, word splitting and longest-match-first (google-research/bert, tokenization.py;
// Hugging Face tokenizers where the two differ).
class WordPiece : public Algorithm {
 public:
  explicit WordPiece(const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), rules_(vocabulary.spec().word_piece) {}

  Status Encode(std::string_view text, Place, std::vector<std::uint32_t>& ids) const override {
    ASSIGN_OR_RETURN(const std::string clean, Clean(text));
    std::string_view rest = clean;
    std::size_t word = 0;  // bytes of the word at the beginning of `rest`
    std::size_t letters = 0;
    const auto end_word = [&] {
      if (word > 0) EncodeWord(rest.substr(0, word), letters, ids);
      rest.remove_prefix(word);
      word = letters = 0;
    };
    while (word < rest.size()) {
      const Utf8Step step = NextUtf8(rest.substr(word));
      if (IsSpace(step.letter)) {
        end_word();
        rest.remove_prefix(step.bytes);
      } else if (IsPunctuation(step.letter)) {
        end_word();
        EncodeWord(rest.substr(0, step.bytes), 1, ids);
        rest.remove_prefix(step.bytes);
      } else {
        word += step.bytes;
        ++letters;
      }
    }
    end_word();
    return {};
  }

 private:
  Result<std::string> Clean(std::string_view text) const {
    std::string spaced;
    spaced.reserve(text.size());
    while (!text.empty()) {
      const Utf8Step step = NextUtf8(text);
      text.remove_prefix(step.bytes);
      const bool blank = step.letter == '\t' || step.letter == '\n' || step.letter == '\r';
      if (rules_.clean_text) {
        if (step.letter == 0 || step.letter == 0xfffd || (!blank && IsOther(step.letter))) continue;
        if (IsSpace(step.letter)) {
          spaced += ' ';
          continue;
        }
      }
      const bool apart = rules_.separate_chinese && IsChinese(step.letter);
      if (apart) spaced += ' ';
      AppendUtf8(step.letter, spaced);
      if (apart) spaced += ' ';
    }
    if (rules_.strip_accents) {
      ASSIGN_OR_RETURN(spaced, NormalForm(spaced, UnicodeForm::kNfd));
    }
    if (!rules_.strip_accents && !rules_.lowercase) return spaced;
    std::string clean;
    clean.reserve(spaced.size());
    for (std::string_view rest = spaced; !rest.empty();) {
      const Utf8Step step = NextUtf8(rest);
      rest.remove_prefix(step.bytes);
      if (rules_.strip_accents && IsNonspacingMark(step.letter)) continue;
      if (rules_.lowercase) {
        AppendLower(step.letter, clean);
      } else {
        AppendUtf8(step.letter, clean);
      }
    }
    return clean;
  }

  void EncodeWord(std::string_view word, std::size_t letters,
                  std::vector<std::uint32_t>& ids) const {
    if (letters > rules_.max_word_letters) {
      ids.push_back(*vocabulary_.unknown());
      return;
    }
    const std::size_t before = ids.size();
    std::string piece;
    for (std::size_t at = 0; at < word.size();) {
      const std::string_view prefix = at == 0 ? std::string_view() : rules_.continuation;
      std::size_t end = std::min(word.size(), at + vocabulary_.longest_token());
      std::optional<std::uint32_t> id;
      for (; end > at; --end) {
        piece.assign(prefix).append(word.substr(at, end - at));
        id = vocabulary_.Find(piece);
        if (id.has_value()) break;
      }
      if (!id.has_value()) {  // one unknown part makes the whole word unknown
        ids.resize(before);
        ids.push_back(*vocabulary_.unknown());
        return;
      }
      ids.push_back(*id);
      at = end;
    }
  }

  const Vocabulary& vocabulary_;
  const WordPieceRules& rules_;
};

}  // namespace

Result<std::unique_ptr<Algorithm>> MakeWordPiece(const Vocabulary& vocabulary) {
  if (!vocabulary.unknown().has_value())
    return Invalid("the WordPiece vocabulary has no unknown token");
  if (vocabulary.spec().word_piece.max_word_letters > kMaxWordLetters) {
    return Invalid("the WordPiece vocabulary allows words of ",
                   vocabulary.spec().word_piece.max_word_letters, " letters, at most ",
                   kMaxWordLetters, " are allowed");
  }
  return std::unique_ptr<Algorithm>(std::make_unique<WordPiece>(vocabulary));
}

}  // namespace bramble::model::text
