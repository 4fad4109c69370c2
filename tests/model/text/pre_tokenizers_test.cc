#include "model/text/pre_tokenizers.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/text/splitter.h"
#include "text_helpers.h"

namespace bramble::model::text {
namespace {

std::vector<std::string> Parts(const std::vector<std::string>& expressions, std::string_view text) {
  const auto splitter = Splitter::Create(expressions);
  EXPECT_TRUE(splitter.ok()) << splitter.status().message();
  std::vector<std::string_view> parts;
  EXPECT_TRUE(splitter->Split(text, parts).ok());
  return {parts.begin(), parts.end()};
}

std::vector<std::string> Splits(const PreTokenizer& row) {
  return {row.splits.begin(), row.splits.end()};
}

// Fails when the golden list has a name that the table lacks, or the other way round.
TEST(PreTokenizers, AreThoseOfTheGoldenList) {
  const auto golden = GoldenJson("tokenizers/pre.json");
  EXPECT_EQ(golden.size(), PreTokenizers().size());
  for (const auto& [name, expected] : golden.items()) {
    const PreTokenizer* row = FindPreTokenizer(name);
    ASSERT_NE(row, nullptr) << name;
    EXPECT_EQ(row->ignore_merges, expected["ignore_merges"].get<bool>()) << name;
    EXPECT_EQ(row->add_bos, expected["add_bos_default"].get<bool>()) << name;
    EXPECT_EQ(row->add_separator, expected.value("add_sep", false)) << name;
    EXPECT_EQ(row->byte_level, expected["byte_level"].get<bool>()) << name;
  }
}

// Both forms of every expression, llama.cpp's and the one of tokenizer.json, cut all golden strings
// in the same way.
TEST(PreTokenizers, CutAsTheExpressionsOfTheGoldenList) {
  const auto golden = GoldenJson("tokenizers/pre.json");
  const auto strings = GoldenJson("tokenizers/strings.json");
  for (const auto& [name, expected] : golden.items()) {
    std::vector<std::vector<std::string>> forms = {
        expected["splits"].get<std::vector<std::string>>()};
    if (expected.contains("tokenizer_json_regex"))
      forms.push_back({expected["tokenizer_json_regex"].get<std::string>()});
    const std::vector<std::string> ours = Splits(*FindPreTokenizer(name));
    std::size_t differences = 0;
    for (const auto& string : strings) {
      const std::string text = string.get<std::string>();
      const auto parts = Parts(ours, text);
      // The form that the table does not have may be a rewriting that is a little different; one
      // must be equal.
      bool equal = false;
      for (const auto& form : forms) equal = equal || Parts(form, text) == parts;
      differences += equal ? 0 : 1;
    }
    EXPECT_EQ(differences, 0U) << name;
  }
}

TEST(PreTokenizers, LoseNothing) {
  const auto strings = GoldenJson("tokenizers/strings.json");
  for (const PreTokenizer& row : PreTokenizers()) {
    const auto splitter = Splitter::Create(Splits(row));
    ASSERT_TRUE(splitter.ok()) << row.name << ": " << splitter.status().message();
    for (const auto& string : strings) {
      const std::string text = string.get<std::string>();
      std::vector<std::string_view> parts;
      ASSERT_TRUE(splitter->Split(text, parts).ok());
      std::string joined;
      for (const std::string_view part : parts) joined += part;
      EXPECT_EQ(joined, text) << row.name;
    }
  }
}

TEST(PreTokenizers, CutAQuarterOfAMegabyteOfAnything) {
  for (const PreTokenizer& row : PreTokenizers()) {
    // These two lean on lookaheads in a loop, and give up on a single word or number of that size.
    const bool gives_up = row.name == "minimax-m2" || row.name == "superbpe";
    const auto splitter = Splitter::Create(Splits(row));
    for (const std::string letter : {"a", " ", "1", "\n", "!", "\xe4\xb8\xad"}) {
      std::string text;
      while (text.size() < (1U << 18)) text += letter;
      std::vector<std::string_view> parts;
      const Status status = splitter->Split(text, parts);
      EXPECT_TRUE(status.ok() || gives_up)
          << row.name << " '" << letter << "': " << status.message();
    }
  }
}

TEST(Splitter, CutsAtEmptyMatchesToo) {
  EXPECT_EQ(Parts({"(?=(\\d{3})+(?!\\d))"}, "1234567"),
            (std::vector<std::string>{"1", "234", "567"}));
  EXPECT_EQ(Parts({"x*"}, "axxb"), (std::vector<std::string>{"a", "xx", "b"}));
  EXPECT_EQ(Parts({}, "ab"), (std::vector<std::string>{"ab"}));
  EXPECT_EQ(Parts({"a"}, ""), (std::vector<std::string>{}));
}

TEST(Splitter, AppliesExpressionsInOrder) {
  EXPECT_EQ(Parts({"\\d+", "[a-c]"}, "ab12d"), (std::vector<std::string>{"a", "b", "12", "d"}));
}

}  // namespace
}  // namespace bramble::model::text
