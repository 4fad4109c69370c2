#include "model/files/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::HasSubstr;

TEST(ModelFiles, AreRecognizedByTheirContent) {
  TemporaryFolder folder;
  folder.Write("config.json", "{}");
  const std::string gguf = folder.Write("named.safetensors", GgufWriter().Zeros("t", {1}).Finish());
  const std::string other = folder.Write(
      "named.gguf",
      Safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "dddd"));
  const auto first = OpenModelFiles(gguf);
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_EQ(first->container, "GGUF version 3");
  const auto second = OpenModelFiles(other);
  ASSERT_TRUE(second.ok()) << second.status().message();
  EXPECT_EQ(second->container, "safetensors");
}

TEST(ModelFiles, AreFoundInAFolderWithOneGguf) {
  TemporaryFolder folder;
  EXPECT_THAT(OpenModelFiles(folder.path()).status().message(), HasSubstr("neither a config.json"));
  folder.Write("a.gguf", GgufWriter().Zeros("t", {1}).Finish());
  EXPECT_TRUE(OpenModelFiles(folder.path() + "/").ok());
  folder.Write("b.gguf", "");
  EXPECT_THAT(OpenModelFiles(folder.path()).status().message(),
              HasSubstr("there are 2 .gguf files"));
}

TEST(ModelFiles, AreRefusedInWordsIfTheyAreSomethingElse) {
  TemporaryFolder folder;
  const std::pair<std::string, const char*> wrong[] = {
      {"", "its 0 bytes begin like none of GGUF, safetensors"},
      {"hello world, this is a text", "not a model file"},
      {"PK\x03\x04 and so on", "the zip archive has no directory"},
      {"tjgg and so on", "of this kind of file is not known"},
  };
  for (const auto& [bytes, message] : wrong) {
    EXPECT_THAT(OpenModelFiles(folder.Write("m", bytes)).status().message(), HasSubstr(message));
  }
  EXPECT_THAT(OpenModelFiles(folder.Pipe("pipe")).status().message(),
              HasSubstr("not a regular file"));
  EXPECT_THAT(OpenModelFiles("/dev/zero").status().message(), HasSubstr("not a regular file"));
  EXPECT_EQ(OpenModelFiles(folder.Path("missing")).status().code(), Code::kNotFound);
  EXPECT_FALSE(OpenModelFiles(std::string("m\0.gguf", 7)).ok());
  EXPECT_FALSE(OpenModelFiles("").ok());
}

}  // namespace
}  // namespace bramble::model::files
