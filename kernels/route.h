// The router of a mixture of experts: from logits to the chosen experts and their weights. Exact
// definition: docs/arithmetic.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/table.h"

namespace bramble::kernels {

// The numbers are those of bramble.v1.Moe.Score and GroupScore.
enum class RouterScore : std::uint8_t {
  kSoftmaxThenTop = 1,
  kTopThenSoftmax = 2,
  kSigmoid = 3,
  kThreshold = 4,
};
enum class GroupScore : std::uint8_t { kMax = 1, kTopTwo = 2 };

struct RouteRule {
  RouterScore score = RouterScore::kSoftmaxThenTop;
  std::size_t experts;         // at least 1
  std::size_t chosen;          // 1 to `experts`
  const float* bias;           // [experts], or null: added to the scores that are compared
  std::size_t groups;          // 0, or a divisor of `experts`
  std::size_t groups_per_row;  // 1 to `groups`; they have at least `chosen` experts together
  GroupScore group_score = GroupScore::kMax;
  float threshold;  // kThreshold
  bool renormalize;
  float scale;
  const float* expert_scale;  // [experts], or null
};

// One chosen expert of a row.
struct Choice {
  std::uint32_t expert;
  float weight;
};

inline constexpr std::size_t RouteScratchFloats(std::size_t experts) { return 3 * experts; }

// Writes `rule.chosen` choices, by rising expert. `logits`: [experts], finite. `scratch`:
// RouteScratchFloats(experts). Pure: any thread.
using RouteFn = void (*)(const RouteRule& rule, const float* logits, float* scratch,
                         Choice* choices);

Rows<RouteFn> RouteRows();

}  // namespace bramble::kernels
