#include "kernels/route.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace bramble::kernels {
namespace {

RouteRule Rule(RouterScore score, std::size_t experts, std::size_t chosen) {
  RouteRule rule{};
  rule.score = score;
  rule.experts = experts;
  rule.chosen = chosen;
  rule.scale = 1;
  return rule;
}

std::vector<Choice> Choose(const RouteRule& rule, const std::vector<float>& logits) {
  std::vector<Choice> choices(rule.chosen);
  std::vector<float> scratch(RouteScratchFloats(rule.experts));
  for (const Row<RouteFn>& row : RouteRows()) {
    row.run(rule, logits.data(), scratch.data(), choices.data());
  }
  return choices;
}

std::vector<std::uint32_t> ExpertsOf(const std::vector<Choice>& choices) {
  std::vector<std::uint32_t> experts;
  for (const Choice& choice : choices) experts.push_back(choice.expert);
  return experts;
}

using Experts = std::vector<std::uint32_t>;

TEST(Route, WeighsBySoftmaxOfAllOrOfTheChosen) {
  const std::vector<float> logits = {0.5F, 2.0F, -1.0F, 1.5F};
  double all = 0;
  for (const float x : logits) all += std::exp(double{x});
  const auto before = Choose(Rule(RouterScore::kSoftmaxThenTop, 4, 2), logits);
  EXPECT_EQ(ExpertsOf(before), Experts({1, 3}));
  EXPECT_NEAR(before[0].weight, std::exp(2.0) / all, 1e-6);
  EXPECT_NEAR(before[1].weight, std::exp(1.5) / all, 1e-6);
  const auto after = Choose(Rule(RouterScore::kTopThenSoftmax, 4, 2), logits);
  EXPECT_EQ(ExpertsOf(after), Experts({1, 3}));
  EXPECT_NEAR(after[0].weight, 1 / (1 + std::exp(-0.5)), 1e-6);
  EXPECT_NEAR(after[0].weight + after[1].weight, 1, 1e-6);
  RouteRule renormalized = Rule(RouterScore::kSoftmaxThenTop, 4, 2);
  renormalized.renormalize = true;
  renormalized.scale = 2;
  EXPECT_NEAR(Choose(renormalized, logits)[0].weight, 2 * after[0].weight, 1e-6);
}

TEST(Route, GivesTiesToTheLowerExpert) {
  for (const RouterScore score : {RouterScore::kSoftmaxThenTop, RouterScore::kTopThenSoftmax,
                                  RouterScore::kSigmoid, RouterScore::kThreshold}) {
    RouteRule rule = Rule(score, 6, 3);
    EXPECT_EQ(ExpertsOf(Choose(rule, {1, 1, 1, 1, 1, 1})), Experts({0, 1, 2}));
    EXPECT_EQ(ExpertsOf(Choose(rule, {0, 2, 1, 1, 3, 1})), Experts({1, 2, 4}));
  }
}

TEST(Route, ComparesWithTheBiasAndWeighsWithoutIt) {
  const std::vector<float> bias = {0, 0, 10, 0};
  RouteRule rule = Rule(RouterScore::kSigmoid, 4, 2);
  rule.bias = bias.data();
  const auto choices = Choose(rule, {1, 2, -3, 0});
  EXPECT_EQ(ExpertsOf(choices), Experts({1, 2}));
  EXPECT_NEAR(choices[0].weight, 1 / (1 + std::exp(-2.0)), 1e-6);
  EXPECT_NEAR(choices[1].weight, 1 / (1 + std::exp(3.0)), 1e-6);
}

// The best expert is in the first group, the two best of one group are in the second.
TEST(Route, KeepsTheBestGroups) {
  const std::vector<float> logits = {3, -9, 2, 1.9F, 0, 0};
  RouteRule rule = Rule(RouterScore::kSigmoid, 6, 2);
  rule.groups = 3;
  rule.groups_per_row = 1;
  rule.group_score = GroupScore::kMax;
  EXPECT_EQ(ExpertsOf(Choose(rule, logits)), Experts({0, 1}));
  rule.group_score = GroupScore::kTopTwo;
  EXPECT_EQ(ExpertsOf(Choose(rule, logits)), Experts({2, 3}));
  rule.groups_per_row = 2;
  EXPECT_EQ(ExpertsOf(Choose(rule, logits)), Experts({2, 3}));
  // Equal groups: the lower ones.
  EXPECT_EQ(ExpertsOf(Choose(rule, {1, 1, 1, 1, 1, 1})), Experts({0, 1}));
}

// Phi's router: (m - x) / max(|x|, m) above the threshold leaves an expert out of the softmax.
TEST(Route, SharesOnlyAmongLogitsNearTheBest) {
  RouteRule rule = Rule(RouterScore::kThreshold, 4, 2);
  rule.threshold = 0.02F;
  const auto choices = Choose(rule, {1.0F, 0.99F, 0.5F, 0.495F});
  EXPECT_EQ(ExpertsOf(choices), Experts({0, 1}));
  EXPECT_NEAR(choices[0].weight, 1 / (1 + std::exp(-0.01)), 1e-6);
  EXPECT_EQ(choices[1].weight, 1.0F);  // the first is out, the others are far
  // Zeros divide nothing by zero.
  const auto zeros = Choose(rule, {0, 0, 0, 0});
  EXPECT_NEAR(zeros[0].weight, 1.0 / 4, 1e-6);
  EXPECT_NEAR(zeros[1].weight, 1.0 / 3, 1e-6);
}

TEST(Route, ScalesEachExpert) {
  const std::vector<float> scales = {1, 2, 3};
  RouteRule rule = Rule(RouterScore::kTopThenSoftmax, 3, 3);
  rule.expert_scale = scales.data();
  rule.scale = 0.5F;
  for (const Choice& choice : Choose(rule, {1, 1, 1})) {
    EXPECT_NEAR(choice.weight, 0.5 / 3 * (choice.expert + 1), 1e-6);
  }
}

// Whatever the finite logits are, as many experts as asked for are chosen, each once, and no weight
// is anything but a number.
TEST(Route, ChoosesEachExpertOnceWhateverTheLogitsAre) {
  constexpr float kMost = std::numeric_limits<float>::max();
  const std::vector<float> bias = {kMost, -kMost, 0, 0, kMost, -kMost, 0, 0};
  const std::vector<std::vector<float>> rows = {
      {kMost, -kMost, kMost, -kMost, 0, 0, 0, 0},
      {-kMost, -kMost, -kMost, -kMost, -kMost, -kMost, -kMost, -kMost},
      {-200, -200, -200, -200, -200, -200, -200, -200},
      {1e-40F, -1e-40F, 0, -0.0F, 1, 1, 1, 1},
  };
  for (const RouterScore score : {RouterScore::kSoftmaxThenTop, RouterScore::kTopThenSoftmax,
                                  RouterScore::kSigmoid, RouterScore::kThreshold}) {
    for (const std::vector<float>& logits : rows) {
      for (std::size_t chosen = 1; chosen <= 8; ++chosen) {
        RouteRule rule = Rule(score, 8, chosen);
        rule.renormalize = chosen % 2 == 0;
        if (score != RouterScore::kThreshold) rule.bias = bias.data();
        if (score == RouterScore::kSigmoid && chosen <= 4) {
          rule.groups = 4;
          rule.groups_per_row = 2;
          rule.group_score = GroupScore::kTopTwo;
        }
        const auto choices = Choose(rule, logits);
        for (std::size_t j = 0; j < chosen; ++j) {
          EXPECT_LT(choices[j].expert, 8U);
          if (j > 0) {
            EXPECT_LT(choices[j - 1].expert, choices[j].expert);
          }
          EXPECT_TRUE(std::isfinite(choices[j].weight));
        }
      }
    }
  }
}

}  // namespace
}  // namespace bramble::kernels
