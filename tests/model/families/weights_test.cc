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
    // Two matrices of two rows and three columns.
    writer.Tensor("stack", 0, {2, 2, 3}, Bytes<float>({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
    // One matrix of two rows of 32 values: bytes of neighbours 0x10, 0x32, ...
    std::string neighbours;
    for (int i = 0; i < 32; ++i)
      neighbours += static_cast<char>(2 * (i % 8) + 16 * (2 * (i % 8) + 1));
    writer.Tensor("blocks", 24, {1, 2, 1, 16}, neighbours);
    writer.Tensor("scales", 24, {1, 2, 1}, std::string("\x7f\x80"));
    writer.Tensor("mask", 24, {2}, std::string(2, '\0'));
    writer.Tensor("quantized", 2, {32}, std::string(18, '\0'));
    bytes_ = writer.Finish();
    files_ = files::FilesOfGguf(bytes_);
  }
  std::string bytes_;
  files::ModelFiles files_;
};

TEST_F(WeightsTest, AreTheFilesOwnBytesWherePossible) {
  Weights weights(files_.tensors, files_.metadata);
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

TEST_F(WeightsTest, AreGatheredFromTheRunsOfAFusedMatrix) {
  Weights weights(files_.tensors, files_.metadata);
  // Of three rows, or values, the first and the last.
  const RowRange runs = {0, 2, 3, 1, 2};
  EXPECT_THAT(Make<float>(weights, weights.Matrix("matrix", runs, 2)), ElementsAre(1, 2, 5, 6));
  EXPECT_THAT(Make<float>(weights, weights.Vector("vector", runs)), ElementsAre(1, 3));
  EXPECT_THAT(Make<float>(weights, weights.Vector("vector", runs, 1)), ElementsAre(2, 4));
  EXPECT_NE(weights.Matrix("matrix", runs, 2), weights.Matrix("matrix", {0, 2, 3}, 2));
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
}

TEST_F(WeightsTest, AreFlattened) {
  Weights weights(files_.tensors, files_.metadata);
  const WeightRef ref = weights.Flattened("matrix", 3, 2);
  EXPECT_THAT(weights.all()[ref].shape(), ElementsAre(6));
  EXPECT_THAT(Make<float>(weights, ref), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(WeightsTest, AreTransposedFromInputsByOutputs) {
  Weights weights(files_.tensors, files_.metadata);
  const WeightRef all = weights.Matrix("matrix", AllRows(2), 3, Layout::kInputsByOutputs);
  const WeightRef second = weights.Matrix("matrix", {1, 1, 2}, 3, Layout::kInputsByOutputs);
  const WeightRef brain = weights.Matrix("brain", AllRows(1), 2, Layout::kInputsByOutputs);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  EXPECT_THAT(Make<float>(weights, all), ElementsAre(1, 3, 5, 2, 4, 6));
  EXPECT_THAT(Make<float>(weights, second), ElementsAre(2, 4, 6));
  EXPECT_THAT(Make<std::uint16_t>(weights, brain), ElementsAre(0x3f80, 0x4000));
}

TEST_F(WeightsTest, AreWidenedWhereAProgramWantsF32) {
  Weights weights(files_.tensors, files_.metadata);
  EXPECT_THAT(Make<float>(weights, weights.Vector("half", AllRows(2))), ElementsAre(1, -2));
  EXPECT_THAT(Make<float>(weights, weights.Vector("half", AllRows(2), 1)), ElementsAre(2, -1));
  EXPECT_THAT(Make<float>(weights, weights.Vector("vector", {1, 2, 3}, 1)), ElementsAre(3, 4));
  EXPECT_EQ(weights.EncodingOf(0), v1::ENCODING_F32);
  EXPECT_TRUE(weights.status().ok());
}

TEST_F(WeightsTest, AreStacksAndPartsOfStacks) {
  Weights weights(files_.tensors, files_.metadata);
  const WeightRef all = weights.Stack("stack", 2, 2, 3);
  const WeightRef second = weights.MatrixOfStack("stack", 2, 1, AllRows(2), 3);
  const WeightRef row = weights.MatrixOfStack("stack", 2, 0, {1, 1, 2}, 3);
  const WeightRef alone = weights.RowMatrix("vector", 3);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  EXPECT_THAT(weights.all()[all].shape(), ElementsAre(2, 2, 3));
  EXPECT_EQ(weights.Columns(all), 3u);
  EXPECT_THAT(Make<float>(weights, all), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  EXPECT_THAT(Make<float>(weights, second), ElementsAre(7, 8, 9, 10, 11, 12));
  EXPECT_THAT(Make<float>(weights, row), ElementsAre(4, 5, 6));
  EXPECT_THAT(weights.all()[alone].shape(), ElementsAre(1, 3));
}

TEST_F(WeightsTest, AreTransposedStacksOfEverySecondOutput) {
  Weights weights(files_.tensors, files_.metadata);
  const WeightRef all = weights.TransposedStack("stack", 2, 2, AllRows(3), 1);
  const WeightRef even = weights.TransposedStack("stack", 2, 2, {0, 2, 3}, 2);
  const WeightRef table = weights.Table("matrix", 3, {1, 1, 2}, 2);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  EXPECT_THAT(weights.all()[all].shape(), ElementsAre(2, 3, 2));
  EXPECT_THAT(Make<float>(weights, all), ElementsAre(1, 4, 2, 5, 3, 6, 7, 10, 8, 11, 9, 12));
  EXPECT_THAT(weights.all()[even].shape(), ElementsAre(2, 2, 2));
  EXPECT_THAT(Make<float>(weights, even), ElementsAre(1, 4, 3, 6, 7, 10, 9, 12));
  EXPECT_THAT(weights.all()[table].shape(), ElementsAre(3, 1));
  EXPECT_THAT(Make<float>(weights, table), ElementsAre(2, 4, 6));
}

// Values 0, 1, 2, ... 15, 0, 1, ... as codes: byte i of our block has codes i and i + 16.
TEST_F(WeightsTest, AreMxfp4BlocksWhoseHalvesChangePlaces) {
  Weights weights(files_.tensors, files_.metadata);
  const WeightRef second = weights.Mxfp4Stack("blocks", "scales", 1, 32, {1, 1, 2}, 2);
  ASSERT_TRUE(weights.status().ok()) << weights.status().message();
  EXPECT_EQ(weights.EncodingOf(second), v1::ENCODING_MXFP4);
  EXPECT_THAT(weights.all()[second].shape(), ElementsAre(1, 1, 32));
  EXPECT_THAT(Make<std::uint8_t>(weights, second),
              ElementsAre(0x80, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa,
                          0xbb, 0xcc, 0xdd, 0xee, 0xff));
}

TEST_F(WeightsTest, AreKeptOnceHoweverOftenTheyAreAskedFor) {
  Weights weights(files_.tensors, files_.metadata);
  EXPECT_EQ(weights.Matrix("matrix", AllRows(3), 2), weights.Matrix("matrix", AllRows(3), 2));
  EXPECT_NE(weights.Vector("vector", AllRows(3)), weights.Vector("vector", AllRows(3), 1));
  EXPECT_EQ(weights.Constant("c", {1, 2}), weights.Constant("c", {1, 2}));
  EXPECT_EQ(weights.all().size(), 4u);
  EXPECT_THAT(weights.Unused(),
              ElementsAre("blocks", "brain", "half", "mask", "quantized", "scales", "stack"));
}

TEST_F(WeightsTest, AreRefusedByName) {
  const std::pair<void (*)(Weights*), const char*> wrong[] = {
      {[](Weights* w) { w->Matrix("nowhere", AllRows(3), 2); }, "tensor 'nowhere' is missing"},
      {[](Weights* w) { w->Matrix("matrix", AllRows(2), 3); },
       "'matrix' has the shape [3, 2], and the model's description needs [2, 3]"},
      {[](Weights* w) { w->Matrix("vector", AllRows(3), 1); }, "'vector' has the shape [3]"},
      {[](Weights* w) { w->Vector("vector", AllRows(4)); }, "needs [4]"},
      {[](Weights* w) { w->Flattened("matrix", 2, 3); }, "needs [2, 3]"},
      {[](Weights* w) { w->Vector("mask", AllRows(2)); }, "'mask' is of the type I8"},
      {[](Weights* w) { w->Vector("quantized", AllRows(32)); },
       "'quantized' is stored as Q4_0, and norms"},
      {[](Weights* w) { w->CountRows("vector", 3); }, "needs [1 to 16777216, 3]"},
      {[](Weights* w) { w->Read("vector", 2); }, "needs [2]"},
      {[](Weights* w) { w->Stack("stack", 2, 3, 2); }, "needs [2, 3, 2]"},
      {[](Weights* w) { w->MatrixOfStack("matrix", 3, 0, AllRows(2), 1); }, "needs [3, 2, 1]"},
      {[](Weights* w) { w->TransposedStack("quantized", 1, 32, AllRows(1), 1); },
       "needs [1, 32, 1]"},
      {[](Weights* w) { w->Table("half", 1, AllRows(2), 1); }, "needs [1, 2]"},
      {[](Weights* w) { w->RowMatrix("vector", 4); }, "needs [4]"},
      {[](Weights* w) { w->Mxfp4Stack("nowhere", "scales", 1, 32, AllRows(2), 1); },
       "'nowhere' is missing"},
      {[](Weights* w) { w->Mxfp4Stack("blocks", "scales", 1, 64, AllRows(2), 1); },
       "needs [1, 2, 2, 16]"},
      {[](Weights* w) { w->Mxfp4Stack("blocks", "scales", 1, 33, AllRows(2), 1); },
       "33 inputs are not blocks of 32"},
  };
  for (const auto& [ask, message] : wrong) {
    Weights weights(files_.tensors, files_.metadata);
    ask(&weights);
    EXPECT_THAT(weights.status().message(), HasSubstr(message));
  }
}

}  // namespace
}  // namespace bramble::model::families
