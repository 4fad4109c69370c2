#include "tests/model_golden/comparison_helpers.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <utility>

namespace bramble {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// A greedy step whose two best logits are closer than this may come out otherwise.
constexpr double kCloseMargin = 4e-3;

std::string ModelPath(const fs::path& folder) {
  const fs::path gguf = folder / "model.gguf";
  return fs::exists(gguf) ? gguf.string() : folder.string();
}

std::size_t Largest(const std::vector<float>& logits) {
  return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace

Comparison::Comparison(fs::path folder, const model::CompileOptions& options, double bound,
                       std::string model)
    : folder_(std::move(folder)),
      model_(model.empty() ? ModelPath(folder_) : std::move(model)),
      expected_(ReadExpected(folder_)),
      options_(options),
      bound_(bound) {}

void Comparison::Run() {
  std::uint32_t room = 0;
  for (const json& prompt : expected_["prompts"]) {
    room = std::max(room, static_cast<std::uint32_t>(prompt["ids"].size() + 24));
  }
  auto engine = Engine::Open(model_, options_, room);
  ASSERT_TRUE(engine.ok()) << engine.status().message();
  engine_ = std::move(*engine);
  for (const json& prompt : expected_["prompts"]) {
    SCOPED_TRACE("prompt of " + std::to_string(prompt["ids"].size()) + " ids");
    ASSERT_NO_FATAL_FAILURE(CheckLogits(prompt));
    ASSERT_NO_FATAL_FAILURE(CheckGreedy(prompt));
  }
  // For the reports that quote these figures.
  testing::Test::RecordProperty("worst_difference_over_std", std::to_string(worst_));
  std::printf("%-28s worst difference %.2e std, bound %.0e\n", folder_.filename().c_str(), worst_,
              bound_);
}

void Comparison::Check(double got, double expected, double std, const std::string& what) {
  const double difference = std::fabs(got - expected) / std;
  worst_ = std::max(worst_, difference);
  EXPECT_LE(difference, bound_) << what << ": " << got << " instead of " << expected << ", std "
                                << std;
}

// Checks the logits of the listed positions and all of the last one.
void Comparison::CheckLogits(const json& prompt) {
  const auto ids = prompt["ids"].get<std::vector<std::uint32_t>>();
  std::vector<std::uint32_t> at;
  for (const json& position : prompt["positions"]) at.push_back(position["pos"]);
  at.push_back(static_cast<std::uint32_t>(ids.size() - 1));
  auto rows = engine_->Prefill(ids, at);
  ASSERT_TRUE(rows.ok()) << rows.status().message();
  ASSERT_EQ(rows->size(), at.size());
  for (std::size_t i = 0; i < prompt["positions"].size(); ++i) {
    const json& position = prompt["positions"][i];
    for (std::size_t k = 0; k < position["top_ids"].size(); ++k) {
      const std::size_t id = position["top_ids"][k];
      Check((*rows)[i].at(id), position["top_values"][k], position["std"],
            "position " + std::to_string(at[i]) + ", id " + std::to_string(id));
    }
  }
  last_ = rows->back();
  const auto expected = prompt["logits_last"].get<std::vector<double>>();
  ASSERT_EQ(last_.size(), expected.size());
  for (std::size_t id = 0; id < expected.size(); ++id) {
    Check(last_[id], expected[id], prompt["logits_std"], "last position, id " + std::to_string(id));
  }
}

// Goes on from the prompt's caches: a step of one row must give what a fresh pass over everything
// gives.
void Comparison::CheckGreedy(const json& prompt) {
  if (!prompt.contains("greedy_ids")) return;
  const double close = std::max(kCloseMargin, 2 * bound_) * prompt["logits_std"].get<double>();
  std::vector<float> logits = last_;
  for (std::size_t i = 0; i < prompt["greedy_ids"].size(); ++i) {
    if (prompt["greedy_margin"][i].get<double>() < close) return;
    const std::uint32_t expected = prompt["greedy_ids"][i];
    ASSERT_EQ(Largest(logits), expected) << "greedy step " << i;
    if (i + 1 == prompt["greedy_ids"].size()) return;
    auto next = engine_->Decode(expected);
    ASSERT_TRUE(next.ok()) << next.status().message();
    logits = *std::move(next);
  }
}

}  // namespace bramble
