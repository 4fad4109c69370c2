#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/files/gguf.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::HasSubstr;

std::string PartName(int number, int count) {
  return "m-0000" + std::to_string(number + 1) + "-of-0000" + std::to_string(count) + ".gguf";
}

GgufWriter Part(int number, int count, int tensors) {
  GgufWriter writer;
  if (number == 0) writer.String("general.architecture", "llama");
  writer.Key("split.no", MetaType::kUint16, Raw<std::uint16_t>(static_cast<std::uint16_t>(number)));
  writer.Key("split.count", MetaType::kUint16,
             Raw<std::uint16_t>(static_cast<std::uint16_t>(count)));
  writer.Key("split.tensors.count", MetaType::kInt32, Raw(tensors));
  writer.Zeros("tensor." + std::to_string(number), {4});
  return writer;
}

class SplitGguf : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 3; ++i) folder_.Write(PartName(i, 3), Part(i, 3, 3).Finish());
  }
  Status Open(int part) { return OpenGguf(folder_.Path(PartName(part, 3))).status(); }
  TemporaryFolder folder_;
};

TEST_F(SplitGguf, IsOpenedByTheNameOfAnyPart) {
  for (int part = 0; part < 3; ++part) {
    const auto files = OpenGguf(folder_.Path(PartName(part, 3)));
    ASSERT_TRUE(files.ok()) << files.status().message();
    EXPECT_EQ(files->container, "GGUF version 3, 3 files");
    EXPECT_EQ(files->tensors.all().size(), 3u);
    EXPECT_NE(files->tensors.Find("tensor.2"), nullptr);
    EXPECT_NE(FindValue(files->metadata, "general.architecture"), nullptr);
  }
}

TEST_F(SplitGguf, IsRefusedWithoutOneOfItsParts) {
  ASSERT_EQ(std::remove(folder_.Path(PartName(1, 3)).c_str()), 0);
  EXPECT_EQ(Open(0).code(), Code::kNotFound);
  EXPECT_THAT(Open(0).message(), HasSubstr(PartName(1, 3)));
}

TEST_F(SplitGguf, IsRefusedIfAPartIsAPipe) {
  ASSERT_EQ(std::remove(folder_.Path(PartName(1, 3)).c_str()), 0);
  folder_.Pipe(PartName(1, 3));
  EXPECT_THAT(Open(0).message(), HasSubstr("not a regular file"));
}

TEST_F(SplitGguf, IsRefusedIfAPartSaysThatItIsAnother) {
  folder_.Write(PartName(1, 3), Part(2, 3, 3).Finish());
  EXPECT_THAT(Open(0).message(), HasSubstr("it says that it is part 3 of 3"));
}

TEST_F(SplitGguf, IsRefusedIfAPartIsOfAnotherModel) {
  folder_.Write(PartName(1, 3), Part(1, 2, 3).Finish());
  EXPECT_THAT(Open(0).message(), HasSubstr("it says that it is part 2 of 2"));
}

TEST_F(SplitGguf, IsRefusedIfTheTensorsAreNotAsManyAsSaid) {
  folder_.Write(PartName(0, 3), Part(0, 3, 4).Finish());
  EXPECT_THAT(Open(0).message(), HasSubstr("3 tensors together, and 'split.tensors.count' says 4"));
}

TEST_F(SplitGguf, IsRefusedIfTwoPartsHaveOneName) {
  folder_.Write(PartName(2, 3), Part(2, 3, 3).Zeros("tensor.0", {4}).Finish());
  EXPECT_THAT(Open(0).message(), HasSubstr("two tensors are named 'tensor.0'"));
}

TEST_F(SplitGguf, IsRefusedUnderAWrongName) {
  const std::string path = folder_.Write("other.gguf", Part(0, 3, 3).Finish());
  EXPECT_THAT(OpenGguf(path).status().message(),
              HasSubstr("its name should end in '-00001-of-00003.gguf'"));
}

TEST_F(SplitGguf, IsRefusedWithANumberBeyondItsCount) {
  const std::string path = folder_.Write("other.gguf", Part(3, 3, 3).Finish());
  EXPECT_THAT(OpenGguf(path).status().message(), HasSubstr("'split.no' is 3 (from 0) of 3 parts"));
}

}  // namespace
}  // namespace bramble::model::files
