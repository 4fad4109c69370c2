#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "model/text/algorithm.h"
#include "model/text/fallback.h"
#include "model/text/space_normalizer.h"
#include "model/text/token_trie.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

constexpr float kUnknownPenalty = 10.0F;

// The segmentation with the highest sum of scores (Viterbi), in single precision and in the order
// of google/sentencepiece, unigram_model.cc, EncodeOptimized, so that ties fall the same way.
class Unigram : public Algorithm {
 public:
  Unigram(const Vocabulary& vocabulary, SpaceNormalizer normalizer)
      : vocabulary_(vocabulary), normalizer_(std::move(normalizer)) {
    float lowest = std::numeric_limits<float>::max();
    for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
      const TokenType type = vocabulary.Type(id);
      if (type == TokenType::kNormal) {
        lowest = std::min(lowest, vocabulary.Score(id));
        highest_ = std::max(highest_, vocabulary.Score(id));
      }
      if (vocabulary.Spelling(id).empty()) continue;
      if (type == TokenType::kNormal || type == TokenType::kUserDefined)
        pieces_.Add(vocabulary.Spelling(id), id);
    }
    if (lowest > highest_) lowest = highest_ = 0;  // no normal token at all
    unknown_score_ = lowest - kUnknownPenalty;
  }

  Status Encode(std::string_view text, Place place,
                std::vector<std::uint32_t>& ids) const override {
    ASSIGN_OR_RETURN(const std::string normalized, normalizer_.Normalize(text, place));
    const std::vector<Best> best = Search(normalized);
    std::vector<std::pair<std::size_t, std::size_t>>
        ends;  // begin and end of each piece, last first
    for (std::size_t end = normalized.size(); end > 0; end = best[end].begin)
      ends.emplace_back(best[end].begin, end);
    bool unknown_run = false;
    for (auto piece = ends.rbegin(); piece != ends.rend(); ++piece) {
      const Best& node = best[piece->second];
      if (node.is_unknown) {
        AppendUnknown(
            vocabulary_,
            std::string_view(normalized).substr(piece->first, piece->second - piece->first),
            unknown_run, ids);
      } else {
        ids.push_back(node.id);
        unknown_run = false;
      }
    }
    return {};
  }

 private:
  // The best way to the end of a prefix.
  struct Best {
    bool reached = false;
    bool is_unknown = false;
    std::uint32_t id = 0;  // of the last piece
    float score = 0;
    std::size_t begin = 0;  // of the last piece
  };

  std::vector<Best> Search(std::string_view text) const {
    std::vector<Best> best(text.size() + 1);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t letter_bytes = Utf8Length(text.substr(at));
      const float so_far = best[at].score;
      bool has_letter = false;
      pieces_.ForEachPrefix(text.substr(at), [&](std::uint32_t id, std::size_t bytes) {
        const bool user_defined = vocabulary_.Type(id) == TokenType::kUserDefined;
        const float score =
            user_defined ? static_cast<float>(bytes) * highest_ - 0.1F : vocabulary_.Score(id);
        Reach(best[at + bytes], so_far + score, at, id, false);
        has_letter = has_letter || bytes == letter_bytes;
      });
      if (!has_letter) Reach(best[at + letter_bytes], so_far + unknown_score_, at, 0, true);
      at += letter_bytes;
    }
    return best;
  }

  static void Reach(Best& node, float score, std::size_t begin, std::uint32_t id, bool is_unknown) {
    if (!node.reached || score > node.score) node = {true, is_unknown, id, score, begin};
  }

  const Vocabulary& vocabulary_;
  SpaceNormalizer normalizer_;
  TokenTrie pieces_;
  float highest_ = std::numeric_limits<float>::lowest();
  float unknown_score_ = 0;
};

}  // namespace

Result<std::unique_ptr<Algorithm>> MakeUnigram(const Vocabulary& vocabulary) {
  if (vocabulary.spec().scores.empty()) return Invalid("the unigram vocabulary has no scores");
  for (std::uint32_t id = 0; id < vocabulary.size(); ++id) {
    // Every piece must end at the end of a character, or the search would stand inside one.
    if (!IsUtf8(vocabulary.Spelling(id)))
      return Invalid("token ", id, " of the unigram vocabulary is not UTF-8");
  }
  RETURN_IF_ERROR(CheckFallback(vocabulary));
  ASSIGN_OR_RETURN(SpaceNormalizer normalizer, SpaceNormalizer::Create(vocabulary));
  return std::unique_ptr<Algorithm>(std::make_unique<Unigram>(vocabulary, std::move(normalizer)));
}

}  // namespace bramble::model::text
