#include <cstddef>
#include <functional>
#include <queue>
#include <string>
#include <unordered_map>
#include <utility>

#include "model/text/algorithm.h"
#include "model/text/fallback.h"
#include "model/text/letter_pairs.h"
#include "model/text/merges.h"
#include "model/text/space_normalizer.h"
#include "model/text/splitter.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

constexpr std::uint32_t kNone = 0xffffffff;

// A stretch of the text; its neighbours by index. Merged-away symbols are empty.
struct Symbol {
  std::uint32_t previous, next;
  std::uint32_t begin, bytes;
};

// Merges by the scores of the joined pieces (google/sentencepiece, bpe_model.cc). Reused for the
// parts of one text, so that they share their memory and a run of unknown characters across them.
class ScoreMerger {
 public:
  explicit ScoreMerger(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // Appends what `text` becomes to `ids`.
  void Merge(std::string_view text, std::vector<std::uint32_t>& ids) {
    text_ = text;
    halves_.clear();
    SplitIntoLetters();
    for (std::uint32_t i = 0; i + 1 < symbols_.size(); ++i) Offer(i, i + 1);
    while (!queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      Symbol& left = symbols_[best.left];
      Symbol& right = symbols_[best.right];
      // One of the two may have grown or gone since.
      if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes) continue;
      left.bytes = best.bytes;
      right.bytes = 0;
      left.next = right.next;
      if (right.next != kNone) symbols_[right.next].previous = best.left;
      if (left.previous != kNone) Offer(left.previous, best.left);
      if (left.next != kNone) Offer(best.left, left.next);
    }
    for (std::uint32_t at = symbols_.empty() ? kNone : 0; at != kNone; at = symbols_[at].next) {
      Emit(text_.substr(symbols_[at].begin, symbols_[at].bytes), ids);
    }
  }

  // Appends the ids of a piece that is not merged with anything.
  void Emit(std::string_view piece, std::vector<std::uint32_t>& ids) {
    std::vector<std::string_view> pending{piece};
    while (!pending.empty()) {
      const std::string_view part = pending.back();
      pending.pop_back();
      const auto id = vocabulary_.FindPiece(part);
      const bool unused = id.has_value() && vocabulary_.Type(*id) == TokenType::kUnused;
      const auto half = unused ? halves_.find(part) : halves_.end();
      if (half != halves_.end()) {
        pending.push_back(part.substr(half->second));
        pending.push_back(part.substr(0, half->second));
      } else if (id.has_value()) {
        ids.push_back(*id);
        unknown_run_ = false;
      } else {
        AppendUnknown(vocabulary_, part, unknown_run_, ids);
      }
    }
  }

 private:
  struct Candidate {
    float score;
    std::uint32_t left, right, bytes;
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };

  void Offer(std::uint32_t left, std::uint32_t right) {
    const std::uint32_t bytes = symbols_[left].bytes + symbols_[right].bytes;
    if (bytes > vocabulary_.longest_token()) return;
    const std::string_view piece = text_.substr(symbols_[left].begin, bytes);
    const auto id = vocabulary_.FindPiece(piece);
    if (!id.has_value()) return;
    queue_.push({vocabulary_.Score(*id), left, right, bytes});
    // An unused piece may be made on the way to a longer one; if it is left over it falls apart
    // again.
    if (vocabulary_.Type(*id) == TokenType::kUnused) halves_[piece] = symbols_[left].bytes;
  }

  void SplitIntoLetters() {
    symbols_.clear();
    for (std::size_t at = 0; at < text_.size();) {
      const std::size_t bytes = Utf8Length(text_.substr(at));
      const auto index = static_cast<std::uint32_t>(symbols_.size());
      symbols_.push_back({index == 0 ? kNone : index - 1, index + 1, static_cast<std::uint32_t>(at),
                          static_cast<std::uint32_t>(bytes)});
      at += bytes;
    }
    if (!symbols_.empty()) symbols_.back().next = kNone;
  }

  const Vocabulary& vocabulary_;
  std::string_view text_;
  bool unknown_run_ = false;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> queue_;
  std::unordered_map<std::string_view, std::size_t>
      halves_;  // bytes of the left half of unused pieces
};

// Merges by rank where the file has merges instead of scores (tokenizer.json of Llama 2, Gemma 4):
// letters first, then pairs of tokens.
void MergeByRank(const Vocabulary& vocabulary, const SpaceNormalizer& normalizer, Merger& merger,
                 std::string_view text, std::vector<std::uint32_t>& ids) {
  std::vector<std::uint32_t> symbols;
  bool unknown_run = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    if (const std::size_t user = normalizer.UserDefinedPrefix(rest); user > 0) {
      merger.Merge(symbols, ids);
      symbols.clear();
      bool run = false;
      const auto id = vocabulary.FindPiece(rest.substr(0, user));
      if (id.has_value()) {
        ids.push_back(*id);
      } else {
        AppendUnknown(vocabulary, rest.substr(0, user), run, ids);
      }
      at += user;
      continue;
    }
    const std::string_view letter = rest.substr(0, Utf8Length(rest));
    if (const auto id = vocabulary.FindPiece(letter)) {
      symbols.push_back(*id);
      unknown_run = false;
    } else {
      AppendUnknown(vocabulary, letter, unknown_run, symbols);
    }
    at += letter.size();
  }
  merger.Merge(symbols, ids);
}

class SentencePieceBpe : public Algorithm {
 public:
  SentencePieceBpe(const Vocabulary& vocabulary, SpaceNormalizer normalizer, Splitter splitter,
                   MergeTable merges)
      : vocabulary_(vocabulary),
        pairs_(vocabulary),
        normalizer_(std::move(normalizer)),
        splitter_(std::move(splitter)),
        merges_(std::move(merges)) {}

  Status Encode(std::string_view text, Place place,
                std::vector<std::uint32_t>& ids) const override {
    ASSIGN_OR_RETURN(const std::string normalized, normalizer_.Normalize(text, place));
    if (vocabulary_.spec().merges.empty()) {
      MergeByScore(normalized, ids);
      return {};
    }
    std::vector<std::string_view> parts;
    RETURN_IF_ERROR(splitter_.Split(normalized, parts));
    Merger merger(merges_);
    for (const std::string_view part : parts)
      MergeByRank(vocabulary_, normalizer_, merger, part, ids);
    return {};
  }

 private:
  // Cuts the text at user-defined pieces, which merge with nothing, and where no piece of the
  // vocabulary could join two characters.
  void MergeByScore(std::string_view text, std::vector<std::uint32_t>& ids) const {
    ScoreMerger merger(vocabulary_);
    std::size_t begin = 0;
    char32_t last = 0;
    for (std::size_t at = 0; at < text.size();) {
      if (const std::size_t user = normalizer_.UserDefinedPrefix(text.substr(at)); user > 0) {
        merger.Merge(text.substr(begin, at - begin), ids);
        merger.Emit(text.substr(at, user), ids);
        at = begin = at + user;
        continue;
      }
      const Utf8Step step = NextUtf8(text.substr(at));
      if (at > begin && !pairs_.CanMeet(last, step.letter)) {
        merger.Merge(text.substr(begin, at - begin), ids);
        begin = at;
      }
      last = step.letter;
      at += step.bytes;
    }
    merger.Merge(text.substr(begin), ids);
  }

  const Vocabulary& vocabulary_;
  LetterPairs pairs_;
  SpaceNormalizer normalizer_;
  Splitter splitter_;
  MergeTable merges_;
};

}  // namespace

Result<std::unique_ptr<Algorithm>> MakeSentencePieceBpe(const Vocabulary& vocabulary) {
  const VocabularySpec& spec = vocabulary.spec();
  if (spec.scores.empty() && spec.merges.empty()) {
    return Invalid("the SentencePiece BPE vocabulary has neither scores nor merges");
  }
  RETURN_IF_ERROR(CheckFallback(vocabulary));
  ASSIGN_OR_RETURN(SpaceNormalizer normalizer, SpaceNormalizer::Create(vocabulary));
  ASSIGN_OR_RETURN(Splitter splitter, Splitter::Create(spec.splits));
  ASSIGN_OR_RETURN(MergeTable merges, MergeTable::Create(vocabulary));
  return std::unique_ptr<Algorithm>(std::make_unique<SentencePieceBpe>(
      vocabulary, std::move(normalizer), std::move(splitter), std::move(merges)));
}

}  // namespace bramble::model::text
