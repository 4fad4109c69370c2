#include "model/families/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/model/files/file_helpers.h"

namespace bramble::model::families {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// What the recipe of `ref` makes, as numbers.
template <typename T>
std::vector<T> Make(const Weights& weights, WeightRef ref) {
  std::vector<std::byte> owned;
  const auto bytes = MakeBytes(weights.recipes()[ref], &owned);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

class WeightsTest : public ::testing::Test {
 protected:
  WeightsTest() {
    files::GgufWriter writer;
    writer.Tensor("matrix", 0, {3, 2}, Bytes<float>({1, 2, 3, 4, 5, 6}));
    writer.Tensor("vector", 0, {3}, Bytes<float>({1, 2, 3}));
    writer.Tensor("half", 1, {2}, Bytes<std::uint16_t>({0x3c00, 0xc000}));       // 1, -2
    writer.Tensor("brain", 30, {2, 1}, Bytes<std::uint16_t>({0x3f80, 0x4000}));  // 1, 2
    writer.Tensor("mask", 24, {2}, std::string(2, '\0'));
    writer.Tensor("quantized", 2, {32}, std::string(18, '\0'));
    bytes_ = writer.Finish();
    files_ = files::FilesOfGguf(bytes_);
  }
  std::string bytes_;
  files::ModelFiles files_;
};

TEST_F(WeightsTest, AreTheFilesOwnBytesWherePossible) {
  Weights weights(files_.tensors);
  const WeightRef all = weights.Matrix("matrix", AllRows(3), 2);
  const WeightRef some = weights.Matrix("matrix", {1, 2, 3}, 2);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  std::vector<std::byte> owned;
  EXPECT_EQ(MakeBytes(weights.recipes()[all], &owned).data(),
            files_.tensors.Find("matrix")->bytes.data());
  EXPECT_TRUE(owned.empty());
  EXPECT_THAT(Make<float>(weights, some), ElementsAre(3, 4, 5, 6));
  EXPECT_THAT(weights.all()[some].shape(), ElementsAre(2, 2));
  EXPECT_EQ(weights.Rows(some), 2u);
  EXPECT_EQ(weights.Columns(some), 2u);
}

TEST_F(WeightsTest, AreTransposedFromInputsByOutputs) {
  Weights weights(files_.tensors);
  const WeightRef all = weights.Matrix("matrix", AllRows(2), 3, Layout::kInputsByOutputs);
  const WeightRef second = weights.Matrix("matrix", {1, 1, 2}, 3, Layout::kInputsByOutputs);
  const WeightRef brain = weights.Matrix("brain", AllRows(1), 2, Layout::kInputsByOutputs);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  EXPECT_THAT(Make<float>(weights, all), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(Make<float>(weights, second), ElementsAre(2, 4, 6));
  EXPECT_THAT(Make<std::uint16_t>(weights, brain), ElementsAre(0x3f80, 0x4000));
}

TEST_F(WeightsTest, AreWidenedWhereAProgramWantsF32) {
  Weights weights(files_.tensors);
  EXPECT_THAT(Make<float>(weights, weights.Vector("half", AllRows(2))), ElementsAre(1, -2));
  EXPECT_THAT(Make<float>(weights, weights.Vector("half", AllRows(2), 1)), ElementsAre(2, -1));
  EXPECT_THAT(Make<float>(weights, weights.Vector("vector", {1, 2, 3}, 1)), ElementsAre(3, 4));
  EXPECT_EQ(weights.EncodingOf(0), v1::ENCODING_F32);
  EXPECT_TRUE(weights.status().ok());
}

TEST_F(WeightsTest, AreKeptOnceHoweverOftenTheyAreAskedFor) {
  Weights weights(files_.tensors);
  EXPECT_EQ(weights.Matrix("matrix", AllRows(3), 2), weights.Matrix("matrix", AllRows(3), 2));
  EXPECT_NE(weights.Vector("vector", AllRows(3)), weights.Vector("vector", AllRows(3), 1));
  EXPECT_EQ(weights.Constant("c", {1, 2}), weights.Constant("c", {1, 2}));
  EXPECT_EQ(weights.all().size(), 4u);
  EXPECT_THAT(weights.Unused(), ElementsAre("brain", "half", "mask", "quantized"));
}

TEST_F(WeightsTest, AreRefusedByName) {
  const std::pair<void (*)(Weights*), const char*> wrong[] = {
      {[](Weights* w) { w->Matrix("nowhere", AllRows(3), 2); }, "tensor 'nowhere' is missing"},
      {[](Weights* w) { w->Matrix("matrix", AllRows(2), 3); },
       "'matrix' has the shape [3, 2], and the model's description needs [2, 3]"},
      {[](Weights* w) { w->Matrix("vector", AllRows(3), 1); }, "'vector' has the shape [3]"},
      {[](Weights* w) { w->Vector("vector", AllRows(4)); }, "needs [4]"},
      {[](Weights* w) { w->Vector("mask", AllRows(2)); }, "'mask' is of the type I8"},
      {[](Weights* w) { w->Vector("quantized", AllRows(32)); },
       "'quantized' is stored as Q4_0, and norms"},
      {[](Weights* w) { w->CountRows("vector", 3); }, "needs [1 to 16777216, 3]"},
      {[](Weights* w) { w->Read("vector", 2); }, "needs [2]"},
  };
  for (const auto& [ask, message] : wrong) {
    Weights weights(files_.tensors);
    ask(&weights);
    EXPECT_THAT(weights.status().message(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace bramble::model::families
