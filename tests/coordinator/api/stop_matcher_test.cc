#include "coordinator/api/stop_matcher.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

namespace bramble::coordinator {
namespace {

TEST(StopMatcher, SendsTheDeltasOfTheGoldenCases) {
  const auto golden =
      nlohmann::json::parse(std::ifstream(BRAMBLE_SOURCE_DIR "/tests/golden/api/stop_cases.json"));
  ASSERT_GE(golden["stop_cases"].size(), 16U);
  for (const auto& stop_case : golden["stop_cases"]) {
    SCOPED_TRACE(stop_case["name"]);
    StopMatcher matcher(stop_case["stops"], stop_case.value("include_stop", false));
    std::vector<std::string> deltas;
    std::string text;
    std::size_t used = 0;
    for (const auto& piece : stop_case["pieces"]) {
      deltas.push_back(matcher.Add(piece.get<std::string>()));
      ++used;
      if (matcher.matched()) break;
    }
    if (!matcher.matched()) deltas.push_back(matcher.Finish());
    for (const auto& delta : deltas) text += delta;
    EXPECT_EQ(nlohmann::json(deltas), stop_case["deltas"]);
    EXPECT_EQ(text, stop_case["text"].get<std::string>());
    EXPECT_EQ(used, stop_case["tokens_used"].get<std::size_t>());
    const bool stopped = stop_case["finish_reason"] == "stop";
    ASSERT_EQ(matcher.matched().has_value(), stopped);
    if (stopped) {
      EXPECT_EQ(*matcher.matched(), stop_case["matched"].get<std::string>());
    }
  }
}

TEST(StopMatcher, FindsWhatASearchOfTheWholeTextFinds) {
  // Two letters and short stops: prefixes, overlaps and repetitions everywhere.
  std::mt19937 random(7);
  const auto word = [&](std::size_t longest) {
    std::string text;
    for (std::size_t n = 1 + random() % longest; n > 0; --n) text += random() % 2 == 0 ? 'a' : 'b';
    return text;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::string stop = word(5);
    const std::string text = word(24);
    StopMatcher matcher({stop});
    std::string sent;
    for (std::size_t at = 0; at < text.size() && !matcher.matched();) {
      const std::size_t length = 1 + random() % 4;
      sent += matcher.Add(text.substr(at, length));
      at += length;
      // What is held back is what may still become the stop, no more.
      if (!matcher.matched()) {
        ASSERT_LT(std::min(at, text.size()) - sent.size(), stop.size());
      }
    }
    sent += matcher.Finish();
    const std::size_t found = text.find(stop);
    ASSERT_EQ(sent, text.substr(0, found)) << text << " / " << stop;
    ASSERT_EQ(matcher.matched().has_value(), found != std::string::npos);
  }
}

}  // namespace
}  // namespace bramble::coordinator
