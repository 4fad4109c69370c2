#include "model/files/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/files/hf_folder.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Status Read(const std::string& header, std::size_t data_bytes) {
  const std::string file = Safetensors(header, std::string(data_bytes, 'd'));
  return ReadSafetensors(AsBytes(file)).status();
}

TEST(Safetensors, ReadsTensorsOfEveryType) {
  const std::string file = Safetensors(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"data_offsets":[24,28],"dtype":"F16","shape":[2]},"c":{"dtype":"BF16","shape":[],"data_offsets":[28,30]},)"
      R"("d":{"dtype":"BOOL","shape":[3,0],"data_offsets":[30,30]},"\u00fc":{"dtype":"I64","shape":[1],"data_offsets":[30,38]}}   )",
      std::string(24, 'a') + std::string(14, 'b'));
  const auto tensors = ReadSafetensors(AsBytes(file));
  ASSERT_TRUE(tensors.ok()) << tensors.status().message();
  ASSERT_EQ(tensors->size(), 5u);
  EXPECT_EQ((*tensors)[0].encoding, v1::ENCODING_F32);
  EXPECT_THAT((*tensors)[0].shape, ElementsAre(2, 3));
  EXPECT_EQ((*tensors)[1].encoding, v1::ENCODING_F16);
  EXPECT_EQ((*tensors)[1].bytes[0], std::byte{'b'});
  EXPECT_EQ((*tensors)[2].encoding, v1::ENCODING_BF16);
  EXPECT_EQ((*tensors)[2].values(), 1u);
  EXPECT_EQ((*tensors)[3].encoding, v1::ENCODING_UNSPECIFIED);
  EXPECT_EQ((*tensors)[4].name, "\xc3\xbc");
  EXPECT_EQ((*tensors)[4].type, "I64");
}

struct Wrong {
  const char* name;
  const char* header;
  std::size_t data_bytes;
  const char* message;

  // Named in the list of tests.
  friend void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }
};
constexpr Wrong kWrong[] = {
    {"NotJson", "{]", 0, "not JSON"},
    {"NoObject", "[1]", 0, "no JSON object"},
    {"Rest", "{} x", 0, "not JSON"},
    {"Number", R"({"a":3})", 0, "a number where none belongs, in 'a'"},
    {"Null", R"({"a":null})", 0, "null where none belongs"},
    {"NoType", R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4, "needs 'dtype', 'shape'"},
    {"NoShape", R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4, "needs 'dtype', 'shape'"},
    {"NoOffsets", R"({"a":{"dtype":"F32","shape":[1]}})", 4, "two 'data_offsets'"},
    {"OneOffset", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4]}})", 4,
     "two 'data_offsets'"},
    {"ThreeOffsets", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}})", 4,
     "two 'data_offsets'"},
    {"TypeTwice", R"({"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}})", 4,
     "a text where none belongs"},
    {"ShapeTwice", R"({"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})", 4,
     "a list where none belongs"},
    {"UnknownType", R"({"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}})", 4,
     "the type 'Q9' cannot be read"},
    {"Negative", R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4,
     "a negative number"},
    {"Fraction", R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4, "a fraction"},
    {"HugeShape", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})",
     4, "more values than 2^63"},
    {"HugeNumber",
     R"({"a":{"dtype":"F32","shape":[99999999999999999999999],"data_offsets":[0,4]}})", 4,
     "a fraction"},
    {"Size", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
     "its shape [2] of F32 needs 4"},
    {"Backwards", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 4,
     "its bytes are 4 to 0"},
    {"Beyond", R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4,
     "which has 4; is the file cut off?"},
    {"Overlap",
     R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
     8, "'a' and 'b' share bytes"},
    {"EmptyName", R"({"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "a name is empty"},
    {"NameWithNul", R"({"a\u0000":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
     "contains a NUL byte"},
    {"Nested", R"({"a":{"dtype":{"x":1},"shape":[1],"data_offsets":[0,4]}})", 4,
     "an object where none belongs"},
    {"NestedList", R"({"a":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4,
     "a list where none belongs"},
    {"ManyDimensions", R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
     4, "a list of more than 8"},
};

class EveryWrongSafetensors : public ::testing::TestWithParam<Wrong> {};

TEST_P(EveryWrongSafetensors, IsRefusedInWords) {
  const Status status = Read(GetParam().header, GetParam().data_bytes);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Safetensors, EveryWrongSafetensors, ::testing::ValuesIn(kWrong),
                         [](const auto& test) { return test.param.name; });

TEST(Safetensors, RefusesAHeaderLongerThanTheFileOrTheLimit) {
  std::string file = Safetensors("{}", "");
  file.replace(0, 8, Raw<std::uint64_t>(3));
  EXPECT_THAT(ReadSafetensors(AsBytes(file)).status().message(),
              HasSubstr("a header of 3 bytes in a file of 10"));
  file.replace(0, 8, Raw<std::uint64_t>(~0ull));
  EXPECT_THAT(ReadSafetensors(AsBytes(file)).status().message(),
              HasSubstr("the limit is 33554432"));
  EXPECT_FALSE(ReadSafetensors(AsBytes(file.substr(0, 7))).ok());
}

TEST(Safetensors, RefusesMoreTensorsThanAnyModelHas) {
  std::string header = "{";
  for (std::size_t i = 0; i <= kMostTensors; ++i) {
    header += (i > 0 ? ",\"" : "\"") + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  EXPECT_THAT(Read(header + "}", 0).message(), HasSubstr("there are more than 131072 tensors"));
}

TEST(Safetensors, RefusesAFileCutAnywhere) {
  const std::string file =
      Safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", std::string(8, 'd'));
  for (std::size_t size = 0; size < file.size(); ++size) {
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ReadSafetensors(std::as_bytes(std::span(cut))).ok()) << size;
  }
}

class HfFolder : public ::testing::Test {
 protected:
  void SetUp() override { folder_.Write("config.json", R"({"model_type":"llama"})"); }
  void Shard(const char* file, const char* tensor) {
    folder_.Write(file, Safetensors("{\"" + std::string(tensor) +
                                        R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                    "dddd"));
  }
  void Index(const std::string& weight_map) {
    folder_.Write("model.safetensors.index.json",
                  R"({"metadata":{"total_size":8},"weight_map":)" + weight_map + "}");
  }
  Status Open() { return OpenHfFolder(folder_.path()).status(); }
  TemporaryFolder folder_;
};

TEST_F(HfFolder, ReadsOneFile) {
  Shard("model.safetensors", "a");
  const auto files = OpenHfFolder(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->container, "safetensors");
  EXPECT_NE(files->tensors.Find("a"), nullptr);
  EXPECT_EQ(FindValue(files->metadata, "model_type")->Text(), "llama");
}

TEST_F(HfFolder, ReadsShardsThatTheIndexNames) {
  Shard("one.safetensors", "a");
  Shard("two.safetensors", "b.c");
  Index(R"({"a":"one.safetensors","b.c":"two.safetensors"})");
  const auto files = OpenHfFolder(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->container, "safetensors, 2 files");
  EXPECT_NE(files->tensors.Find("b.c"), nullptr);
}

TEST_F(HfFolder, RefusesAShardThatLacksItsTensor) {
  Shard("one.safetensors", "a");
  Index(R"({"a":"one.safetensors","b":"one.safetensors"})");
  EXPECT_THAT(Open().message(), HasSubstr("'one.safetensors' has 2 tensors, and the file has 1"));
}

TEST_F(HfFolder, RefusesShardsOutsideOfTheFolder) {
  for (const char* name :
       {"../one.safetensors", "/etc/passwd", "..", "", "sub/one.safetensors", "one\\u0000"}) {
    Index(R"({"a":")" + std::string(name) + "\"}");
    EXPECT_THAT(Open().message(), HasSubstr("a shard must be a file beside the index")) << name;
  }
}

TEST_F(HfFolder, RefusesAShardThatIsAPipe) {
  folder_.Pipe("one.safetensors");
  Index(R"({"a":"one.safetensors"})");
  EXPECT_THAT(Open().message(), HasSubstr("not a regular file"));
}

TEST_F(HfFolder, RefusesAnIndexWithoutAMap) {
  folder_.Write("model.safetensors.index.json", "{}");
  EXPECT_THAT(Open().message(), HasSubstr("no 'weight_map'"));
  Index(R"({"a":3})");
  EXPECT_THAT(Open().message(), HasSubstr("the shard of tensor 'a' is 3"));
}

TEST_F(HfFolder, RefusesTwoNamesThatAreEqualOnceUnescaped) {
  folder_.Write("model.safetensors",
                Safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                            R"("\u0061":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                            "dddddddd"));
  EXPECT_THAT(Open().message(), HasSubstr("two tensors are named 'a'"));
}

TEST_F(HfFolder, SaysWhatIsMissing) {
  EXPECT_THAT(Open().message(), HasSubstr("there is none of model.safetensors, model.safetensors"));
  folder_.Write("pytorch_model.bin", "x");
  EXPECT_THAT(Open().message(), HasSubstr("neither as a zip archive nor as PyTorch's older files"));
  TemporaryFolder empty;
  EXPECT_EQ(OpenHfFolder(empty.path()).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace bramble::model::files
