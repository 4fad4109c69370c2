#include "kernels/route.h"

#include <algorithm>
#include <cmath>

#include "kernels/math.h"
#include "kernels/portable/kernels.h"
#include "kernels/portable/lanes.h"

namespace bramble::kernels::portable {
namespace {

// A sum that is 0 divides nothing by it.
constexpr float kLeastTotal = 1e-20F;

// What is known of one row's experts: parts of the scratch.
struct Candidates {
  float* scores;    // what becomes the weight
  float* compared;  // what decides who is chosen; not a number: out of the question

  bool open(std::size_t i) const { return compared[i] == compared[i]; }
  void Close(std::size_t i) const { compared[i] = NAN; }
};

// In place.
void Softmax(float* x, std::size_t n) {
  float maximum = x[0];
  for (std::size_t i = 1; i < n; ++i) maximum = x[i] > maximum ? x[i] : maximum;
  for (std::size_t i = 0; i < n; ++i) x[i] = Exp(x[i] - maximum);
  const float factor = 1.0F / Sum(x, n);
  for (std::size_t i = 0; i < n; ++i) x[i] *= factor;
}

// The open expert of [first, last) with the largest compared score, the lowest among equals; `last`
// if there is none.
std::size_t Best(const Candidates& c, std::size_t first, std::size_t last) {
  std::size_t best = last;
  for (std::size_t i = first; i < last; ++i) {
    if (c.open(i) && (best == last || c.compared[i] > c.compared[best])) best = i;
  }
  return best;
}

float ScoreOfGroup(const Candidates& c, GroupScore kind, std::size_t first, std::size_t last) {
  const std::size_t best = Best(c, first, last);
  const float score = c.compared[best];
  if (kind == GroupScore::kMax || last - first < 2) return score;
  c.Close(best);
  const float second = c.compared[Best(c, first, last)];
  c.compared[best] = score;
  return score + second;
}

// Closes the experts of all groups but the best.
void KeepBestGroups(const RouteRule& rule, const Candidates& c, float* group_scores) {
  const std::size_t size = rule.experts / rule.groups;
  const Candidates groups{nullptr, group_scores};
  for (std::size_t g = 0; g < rule.groups; ++g) {
    const float score = ScoreOfGroup(c, rule.group_score, g * size, (g + 1) * size);
    group_scores[g] = score == score ? score : -INFINITY;
  }
  for (std::size_t i = 0; i < rule.groups_per_row; ++i) groups.Close(Best(groups, 0, rule.groups));
  for (std::size_t g = 0; g < rule.groups; ++g) {
    if (!groups.open(g)) continue;
    for (std::size_t i = g * size; i < (g + 1) * size; ++i) c.Close(i);
  }
}

// The share of open expert `best`, which has the largest logit, among the open ones near it.
float ShareAmongNear(const RouteRule& rule, const Candidates& c, const float* logits,
                     std::size_t best) {
  const float maximum = logits[best];
  float lanes[kLanes] = {};
  for (std::size_t i = 0; i < rule.experts; ++i) {
    if (!c.open(i)) continue;
    const float size = std::fabs(logits[i]);
    const float distance = (maximum - logits[i]) / (size > maximum ? size : maximum);
    if (distance > rule.threshold) continue;
    lanes[i % kLanes] += Exp(logits[i] - maximum);
  }
  return 1.0F / FoldLanes(lanes);
}

void Score(const RouteRule& rule, const float* logits, const Candidates& c) {
  std::copy_n(logits, rule.experts, c.scores);
  if (rule.score == RouterScore::kSoftmaxThenTop) Softmax(c.scores, rule.experts);
  if (rule.score == RouterScore::kSigmoid) {
    for (std::size_t i = 0; i < rule.experts; ++i) c.scores[i] = Sigmoid(c.scores[i]);
  }
  for (std::size_t i = 0; i < rule.experts; ++i) {
    const float compared = rule.bias == nullptr ? c.scores[i] : c.scores[i] + rule.bias[i];
    c.compared[i] = compared == compared ? compared : -INFINITY;
  }
}

// Of the chosen experts' scores, by rising expert.
void Weigh(const RouteRule& rule, float* scratch, Choice* choices) {
  float* weights = scratch;
  for (std::size_t j = 0; j < rule.chosen; ++j) weights[j] = choices[j].weight;
  if (rule.score == RouterScore::kTopThenSoftmax) Softmax(weights, rule.chosen);
  if (rule.renormalize) {
    float total = 0.0F;
    for (std::size_t j = 0; j < rule.chosen; ++j) total += weights[j];
    total += kLeastTotal;
    for (std::size_t j = 0; j < rule.chosen; ++j) weights[j] = weights[j] / total;
  }
  for (std::size_t j = 0; j < rule.chosen; ++j) {
    const float weight = weights[j] * rule.scale;
    const std::size_t e = choices[j].expert;
    choices[j].weight = rule.expert_scale == nullptr ? weight : weight * rule.expert_scale[e];
  }
}

}  // namespace

void Route(const RouteRule& rule, const float* logits, float* scratch, Choice* choices) {
  const Candidates c{scratch, scratch + rule.experts};
  Score(rule, logits, c);
  if (rule.groups > 0) KeepBestGroups(rule, c, scratch + 2 * rule.experts);
  for (std::size_t j = 0; j < rule.chosen; ++j) {
    const std::size_t best = Best(c, 0, rule.experts);
    if (rule.score == RouterScore::kThreshold) {
      c.scores[best] = ShareAmongNear(rule, c, logits, best);
    }
    c.Close(best);
    std::size_t place = j;
    for (; place > 0 && choices[place - 1].expert > best; --place) {
      choices[place] = choices[place - 1];
    }
    choices[place] = {static_cast<std::uint32_t>(best), c.scores[best]};
  }
  Weigh(rule, scratch + 2 * rule.experts, choices);
}

}  // namespace bramble::kernels::portable
