#include "kernels/sample.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using Json = nlohmann::json;

Json GoldenCases() {
  std::ifstream file(testing::GoldenPath("sampling.json"));
  return Json::parse(file).at("cases");
}

struct Request {
  std::vector<float> logits;
  std::vector<LogitBias> biases;
  Penalties penalties;
  std::vector<SeenId> seen;
  SamplingRule rule;
};

Request ReadRequest(const Json& test) {
  Request request;
  request.logits = test.at("logits").get<std::vector<float>>();
  const Json& params = test.at("params");
  const auto number = [&](const char* name, float neutral) { return params.value(name, neutral); };
  request.penalties = {number("repetition_penalty", 1), number("frequency_penalty", 0),
                       number("presence_penalty", 0)};
  request.rule.temperature = number("temperature", 1);
  request.rule.min_p = number("min_p", 0);
  request.rule.top_p = number("top_p", 1);
  request.rule.top_k = static_cast<std::uint32_t>(std::max(params.value("top_k", 0), 0));
  const Json biases = params.value("logit_bias", Json::object());
  for (const auto& [id, bias] : biases.items()) {
    request.biases.push_back({static_cast<std::uint32_t>(std::stoul(id)), bias.get<float>()});
  }
  std::map<std::uint32_t, std::uint32_t> seen;
  for (const std::uint32_t id : test.at("prompt_ids")) seen[id];
  for (const std::uint32_t id : test.at("output_ids")) ++seen[id];
  for (const auto& [id, outputs] : seen) request.seen.push_back({id, outputs});
  return request;
}

std::vector<float> Adjusted(const Request& request) {
  std::vector<float> logits = request.logits;
  AdjustLogits(logits, request.biases, {}, request.penalties, request.seen);
  return logits;
}

TEST(Sampling, GivesTheReferenceDistributions) {
  std::size_t checked = 0;
  for (const Json& test : GoldenCases()) {
    const Request request = ReadRequest(test);
    const std::vector<float> logits = Adjusted(request);
    std::vector<Candidate> scratch(logits.size());
    const Json& expected = test.at("vllm");
    SCOPED_TRACE(test.at("name").get<std::string>());
    if (expected.contains("greedy")) {
      EXPECT_EQ(Draw(logits, request.rule, 1, 1, scratch), expected.at("greedy"));
      ++checked;
      continue;
    }
    const auto kept = Keep(logits, request.rule, scratch);
    std::vector<std::uint32_t> ids;
    double total = 0;
    for (const Candidate& c : kept) ids.push_back(c.id);
    for (const Candidate& c : kept) total += static_cast<double>(c.weight);
    ASSERT_EQ(ids, expected.at("kept").get<std::vector<std::uint32_t>>());
    for (std::size_t i = 0; i < kept.size(); ++i) {
      EXPECT_NEAR(static_cast<double>(kept[i].weight) / total,
                  expected.at("probs").at(i).get<double>(), 2e-6);
    }
    ++checked;
  }
  EXPECT_GE(checked, 20U);
}

TEST(Sampling, ReportsTheReferenceLogProbabilities) {
  for (const Json& test : GoldenCases()) {
    SCOPED_TRACE(test.at("name").get<std::string>());
    const auto logits = test.at("logits").get<std::vector<float>>();
    std::vector<std::uint32_t> top(5);
    ASSERT_EQ(TopLogits(logits, top), 5U);
    const double sum = LogSumExp(logits);
    for (std::size_t i = 0; i < top.size(); ++i) {
      const Json& entry = test.at("logprobs_top5").at(i);
      EXPECT_EQ(top[i], entry.at(0).get<std::uint32_t>());
      EXPECT_NEAR(static_cast<double>(logits[top[i]]) - sum, entry.at(1).get<double>(), 2e-6);
    }
  }
}

// The walk of the definition: the first whose running sum exceeds the uniform share of the total.
std::uint32_t WalkAll(const std::vector<float>& logits, const SamplingRule& rule,
                      std::uint64_t seed, std::uint64_t position) {
  std::vector<Candidate> scratch(logits.size());
  const auto kept = Keep(logits, rule, scratch);
  unsigned __int128 total = 0;
  for (const Candidate& c : kept) total += c.weight;
  const unsigned __int128 goal = total * UniformBits(seed, position) >> 64U;
  unsigned __int128 sum = 0;
  for (const Candidate& c : kept) {
    sum += c.weight;
    if (sum > goal) return c.id;
  }
  return kept.front().id;
}

TEST(Sampling, DrawsWhatTheWholeWalkWouldFind) {
  testing::Random random(7);
  const SamplingRule rules[] = {{},
                                {0.7F, 0, 0, 0.9F},
                                {1.5F, 0.02F, 0, 1},
                                {1, 0, 40, 0.95F},
                                {2, 0.001F, 500, 0.99F},
                                {100, 0, 0, 1}};
  for (const SamplingRule& rule : rules) {
    for (std::uint64_t position = 0; position < 60; ++position) {
      const auto logits = testing::RandomFloats(random, 1 + random() % 3000, 3.0F);
      std::vector<Candidate> scratch(logits.size());
      ASSERT_EQ(Draw(logits, rule, 99, position, scratch), WalkAll(logits, rule, 99, position));
    }
  }
}

TEST(Sampling, DrawsEachIdAboutAsOftenAsItsProbability) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  std::vector<Candidate> scratch(3);
  std::vector<int> counts(3);
  constexpr int kDraws = 100000;
  for (std::uint64_t i = 0; i < kDraws; ++i) ++counts[Draw(logits, {}, 12345, i, scratch)];
  EXPECT_NEAR(counts[0], 0.1 * kDraws, 400);
  EXPECT_NEAR(counts[1], 0.6 * kDraws, 600);
  EXPECT_NEAR(counts[2], 0.3 * kDraws, 600);
}

// The published test vectors of Philox4x32-10 (Salmon and others, 2011): words 0 and 1 of the
// answer.
TEST(Sampling, UniformNumbersAreThoseOfPhilox) {
  EXPECT_EQ(UniformBits(0, 0), 0xe169c58d6627e8d5U);
  // Not published: computed with a second implementation in another language.
  EXPECT_EQ(UniformBits(0x01234567deadbeefU, 0x9abcdef012345678U), 0x4cd1fe0678b7e36dU);
  std::set<std::uint64_t> numbers;
  for (std::uint64_t seed : {0ULL, 1ULL, 1ULL << 32U, 1ULL << 63U}) {
    for (std::uint64_t position = 0; position < 100; ++position) {
      numbers.insert(UniformBits(seed, position));
    }
  }
  EXPECT_EQ(numbers.size(), 400U);
}

TEST(Sampling, GreedyTakesTheLowestIdOfATie) {
  EXPECT_EQ(Greedy(std::vector<float>{1, 3, 2, 3}), 1U);
  EXPECT_EQ(Greedy(std::vector<float>{-INFINITY, -INFINITY}), 0U);
}

TEST(Sampling, TopLogitsOrdersTiesByIdAndStopsAtTheVocabulary) {
  std::vector<std::uint32_t> top(3);
  EXPECT_EQ(TopLogits(std::vector<float>{1, 5, 5, 0, 5, 5}, top), 3U);
  EXPECT_THAT(top, ::testing::ElementsAre(1, 2, 4));
  EXPECT_EQ(TopLogits(std::vector<float>{1, 2}, top), 2U);
  EXPECT_EQ(top[0], 1U);
  EXPECT_EQ(TopLogits(std::vector<float>{1, 2}, {}), 0U);
}

TEST(Sampling, NeverDrawsAForbiddenId) {
  std::vector<float> logits = {1, 9, 2, 8};
  const std::vector<std::uint32_t> forbidden = {1, 3};
  AdjustLogits(logits, {}, forbidden, {}, {});
  std::vector<Candidate> scratch(logits.size());
  for (std::uint64_t i = 0; i < 200; ++i) {
    const std::uint32_t id = Draw(logits, {2.0F, 0, 0, 1}, 5, i, scratch);
    EXPECT_TRUE(id == 0 || id == 2);
  }
  EXPECT_EQ(Draw(logits, {0.0F, 0, 0, 1}, 5, 0, scratch), 2U);
}

TEST(Sampling, LogSumExpHoldsForLargeVocabularies) {
  const std::vector<float> logits(200000, 3.0F);
  EXPECT_NEAR(LogSumExp(logits), 3.0 + std::log(200000.0), 1e-12);
}

}  // namespace
}  // namespace bramble::kernels
