#include "model/files/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t kF32 = 0;
constexpr std::uint32_t kBlocksOf32 = 2;

// Two tensors, three keys.
GgufWriter Small() {
  GgufWriter writer;
  writer.String("general.architecture", "llama").U32("llama.block_count", 2).F32("x.eps", 0.5f);
  writer.Tensor("first", kF32, {2, 3}, std::string(24, 'a'))
      .Tensor("second", kBlocksOf32, {1, 32}, std::string(18, 'b'));
  return writer;
}

Status Read(const std::string& file) { return ReadGguf(AsBytes(file)).status(); }

TEST(Gguf, ReadsTensorsWithTheOutermostDimensionFirst) {
  const std::string file = Small().Finish();
  const auto part = ReadGguf(AsBytes(file));
  ASSERT_TRUE(part.ok()) << part.status().message();
  EXPECT_EQ(part->version, 3u);
  ASSERT_EQ(part->tensors.size(), 2u);
  EXPECT_EQ(part->tensors[0].name, "first");
  EXPECT_EQ(part->tensors[0].encoding, v1::ENCODING_F32);
  EXPECT_THAT(part->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(part->tensors[0].bytes.size(), 24u);
  EXPECT_EQ(part->tensors[0].bytes[0], std::byte{'a'});
  EXPECT_EQ(part->tensors[1].encoding, v1::ENCODING_Q4_0);
  EXPECT_EQ(part->tensors[1].bytes.size(), 18u);
  EXPECT_EQ(part->tensors[1].bytes[17], std::byte{'b'});
}

TEST(Gguf, ReadsEveryTypeOfMetadata) {
  GgufWriter writer;
  writer.Key("u8", MetaType::kUint8, Raw<std::uint8_t>(200));
  writer.Key("i8", MetaType::kInt8, Raw<std::int8_t>(-3));
  writer.Key("u16", MetaType::kUint16, Raw<std::uint16_t>(65535));
  writer.Key("i16", MetaType::kInt16, Raw<std::int16_t>(-300));
  writer.Key("u32", MetaType::kUint32, Raw<std::uint32_t>(4000000000));
  writer.Key("i32", MetaType::kInt32, Raw<std::int32_t>(-70000));
  writer.Key("u64", MetaType::kUint64, Raw<std::uint64_t>(1ull << 40));
  writer.Key("huge", MetaType::kUint64, Raw<std::uint64_t>(~0ull));
  writer.Key("i64", MetaType::kInt64, Raw<std::int64_t>(-(1ll << 40)));
  writer.Key("f32", MetaType::kFloat32, Raw(0.25f));
  writer.Key("f64", MetaType::kFloat64, Raw(0.1));
  writer.Key("yes", MetaType::kBool, Raw<std::uint8_t>(1));
  writer.Key("no", MetaType::kBool, Raw<std::uint8_t>(0));
  writer.Key("text", MetaType::kText, GgufWriter::Text("gr\xc3\xbc\xc3\x9f"));
  const std::string file = writer.Finish();
  const auto part = ReadGguf(AsBytes(file));
  ASSERT_TRUE(part.ok()) << part.status().message();
  const std::pair<const char*, std::int64_t> whole[] = {
      {"u8", 200},         {"i8", -3},      {"u16", 65535},     {"i16", -300},
      {"u32", 4000000000}, {"i32", -70000}, {"u64", 1ll << 40}, {"i64", -(1ll << 40)}};
  for (const auto& [key, number] : whole) EXPECT_EQ(part->metadata.at(key).Whole(), number) << key;
  EXPECT_FALSE(part->metadata.at("huge").Whole());
  EXPECT_EQ(part->metadata.at("huge").Real(), 18446744073709551616.0);
  EXPECT_EQ(part->metadata.at("f32").Real(), 0.25);
  EXPECT_EQ(part->metadata.at("f64").Real(), 0.1);
  EXPECT_EQ(part->metadata.at("yes").Flag(), true);
  EXPECT_EQ(part->metadata.at("no").Flag(), false);
  EXPECT_EQ(part->metadata.at("text").Text(), "gr\xc3\xbc\xc3\x9f");
}

std::string List(MetaType element, std::uint64_t count, std::string_view values) {
  return Raw(static_cast<std::uint32_t>(element)) + Raw(count) + std::string(values);
}

TEST(Gguf, ReadsListsOfNumbersOfTextsAndOfLists) {
  GgufWriter writer;
  writer.Key("numbers", MetaType::kArray,
             List(MetaType::kInt16, 2, Raw<std::int16_t>(7) + Raw<std::int16_t>(-7)));
  writer.Key("texts", MetaType::kArray,
             List(MetaType::kText, 2, GgufWriter::Text("a") + GgufWriter::Text("")));
  writer.Key("none", MetaType::kArray, List(MetaType::kFloat32, 0, ""));
  const std::string inner = List(MetaType::kBool, 1, std::string(1, '\1'));
  writer.Key("lists", MetaType::kArray,
             List(MetaType::kArray, 2, inner + List(MetaType::kText, 1, GgufWriter::Text("z"))));
  writer.U32("after", 9);
  const std::string file = writer.Finish();
  const auto part = ReadGguf(AsBytes(file));
  ASSERT_TRUE(part.ok()) << part.status().message();
  EXPECT_THAT(*part->metadata.at("numbers").Numbers(10), ElementsAre(7, -7));
  EXPECT_THAT(*part->metadata.at("texts").Texts(10), ElementsAre("a", ""));
  EXPECT_EQ(part->metadata.at("none").ListSize(), 0u);
  EXPECT_EQ(part->metadata.at("lists").ListSize(), 2u);
  EXPECT_EQ(part->metadata.at("after").Whole(), 9);
  EXPECT_FALSE(part->metadata.at("numbers").Texts(10).ok());
  EXPECT_FALSE(part->metadata.at("texts").Numbers(10).ok());
  EXPECT_THAT(part->metadata.at("texts").Texts(1).status().message(), HasSubstr("the limit is 1"));
}

TEST(Gguf, ReadsVersion2) {
  GgufWriter writer = Small();
  writer.version = 2;
  EXPECT_TRUE(Read(writer.Finish()).ok());
}

TEST(Gguf, ReadsWhatIsUnusualButRight) {
  for (const std::uint64_t alignment : {8, 64, 4096}) {
    GgufWriter writer = Small();
    writer.alignment = alignment;
    writer.U32("general.alignment", static_cast<std::uint32_t>(alignment));
    const std::string file = writer.Finish();
    const auto part = ReadGguf(AsBytes(file));
    ASSERT_TRUE(part.ok()) << alignment << ": " << part.status().message();
    EXPECT_EQ(part->tensors[1].bytes[0], std::byte{'b'});
  }
  GgufWriter writer;
  writer
      .Zeros(
          "gr\xc3\xb6\xc3\x9f"
          "e",
          {2})
      .Zeros("empty", {0, 4})
      .Zeros("one", {})
      .Zeros("four", {1, 2, 1, 2});
  writer.Tensor("mask", 24, {5}, std::string(5, '\0'));
  const auto part = ReadGguf(AsBytes(writer.Finish()));
  EXPECT_TRUE(part.ok()) << part.status().message();
}

TEST(Gguf, ReadsTensorsWhoseDataLieInAnotherOrder) {
  std::string file = Small().Finish();
  // Both offsets stand at the end of their entries, before the padding.
  const std::size_t first = file.find("first") + 5 + 4 + 16 + 4;
  const std::size_t second = file.find("second") + 6 + 4 + 16 + 4;
  file.replace(first, 8, Raw<std::uint64_t>(32));
  file.replace(second, 8, Raw<std::uint64_t>(0));
  file.resize(file.size() + 32, 'c');
  const auto part = ReadGguf(AsBytes(file));
  ASSERT_TRUE(part.ok()) << part.status().message();
  EXPECT_EQ(part->tensors[0].bytes[0], std::byte{'b'});
  EXPECT_EQ(part->tensors[1].bytes[0], std::byte{'a'});
}

// A change to a right file, and what the refusal must say.
struct Wrong {
  const char* name;
  std::function<std::string()> file;
  const char* message;

  // Named in the list of tests.
  friend void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }
};

std::string Patched(std::size_t offset, const std::string& bytes) {
  return Small().Finish().replace(offset, bytes.size(), bytes);
}
std::string PatchedBehind(const std::string& text, std::size_t distance, const std::string& bytes) {
  const std::string file = Small().Finish();
  return Patched(file.find(text) + text.size() + distance, bytes);
}
template <typename T>
std::string Number(T number) {
  return Raw(number);
}

const Wrong wrong_files[] = {
    {"Magic", [] { return Patched(0, "GGUG"); }, "does not begin with 'GGUF'"},
    {"Version1", [] { return Patched(4, Number(1u)); }, "GGUF version 1"},
    {"Version4", [] { return Patched(4, Number(4u)); }, "GGUF version 4"},
    {"BigEndian", [] { return Patched(4, Number(0x03000000u)); }, "big-endian"},
    {"MostTensors", [] { return Patched(8, Number(~0ull)); },
     "18446744073709551615 tensors, the limit"},
    {"ManyTensors", [] { return Patched(8, Number<std::uint64_t>(100000)); },
     "100000 tensors do not fit"},
    {"MostKeys", [] { return Patched(16, Number(~0ull)); }, "metadata keys, the limit"},
    {"ManyKeys", [] { return Patched(16, Number<std::uint64_t>(60000)); }, "60000 metadata keys"},
    {"KeyLength", [] { return Patched(24, Number(~0ull)); }, "the file ends inside of its header"},
    {"EmptyKey", [] { return GgufWriter().U32("", 1).Finish(); }, "a name is empty"},
    {"KeyWithNul", [] { return GgufWriter().U32(std::string("a\0b", 3), 1).Finish(); },
     "contains a NUL byte"},
    {"KeyTwice", [] { return GgufWriter().U32("a", 1).U32("a", 1).Finish(); },
     "'a' stands there twice"},
    {"ValueType", [] { return PatchedBehind("block_count", 0, Number(13u)); },
     "'llama.block_count': the unknown type 13"},
    {"TextLength",
     [] { return PatchedBehind("architecture", 4, Number<std::uint64_t>(1ull << 62)); },
     "'general.architecture': the file ends"},
    {"ListLength",
     [] {
       return GgufWriter()
           .Key("l", MetaType::kArray, List(MetaType::kUint64, 1ull << 61, ""))
           .Finish();
     },
     "a list of 2305843009213693952 elements of 8 bytes does not fit"},
    {"TextListLength",
     [] {
       return GgufWriter()
           .Key("l", MetaType::kArray, List(MetaType::kText, 1ull << 61, ""))
           .Finish();
     },
     "a list of 2305843009213693952 elements does not fit"},
    {"ListType",
     [] { return GgufWriter().Key("l", MetaType::kArray, List(MetaType{77}, 1, "")).Finish(); },
     "elements of the unknown type 77"},
    {"DeepList",
     [] {
       std::string list = List(MetaType::kUint8, 0, "");
       for (int i = 0; i < 100; ++i) list = List(MetaType::kArray, 1, list);
       return GgufWriter().Key("l", MetaType::kArray, list).Finish();
     },
     "lists in lists"},
    {"Alignment0", [] { return Small().U32("general.alignment", 0).Finish(); },
     "must be a power of two"},
    {"Alignment24", [] { return Small().U32("general.alignment", 24).Finish(); },
     "must be a power of two"},
    {"AlignmentText", [] { return Small().String("general.alignment", "x").Finish(); },
     "must be a power of two"},
    {"EmptyName", [] { return GgufWriter().Zeros("", {1}).Finish(); }, "a name is empty"},
    {"NameWithNul", [] { return GgufWriter().Zeros(std::string("w\0", 2), {1}).Finish(); },
     "contains a NUL byte"},
    {"LongName", [] { return GgufWriter().Zeros(std::string(5000, 'n'), {1}).Finish(); },
     "5000 bytes, the limit is 1024"},
    {"Dimensions", [] { return PatchedBehind("first", 0, Number(5u)); },
     "5 dimensions, the limit is 4"},
    {"Shape", [] { return PatchedBehind("first", 4, Number(1ull << 62)); },
     "more values than 2^63"},
    {"Type", [] { return PatchedBehind("first", 20, Number(99u)); },
     "'first': the unknown tensor type 99"},
    {"HalfBlock", [] { return PatchedBehind("second", 4, Number<std::uint64_t>(31)); },
     "'second': rows of 31 values are not whole blocks of 32"},
    {"Misaligned", [] { return PatchedBehind("second", 24, Number<std::uint64_t>(33)); },
     "no multiple of 32"},
    {"OffsetBeyond", [] { return PatchedBehind("second", 24, Number<std::uint64_t>(1ull << 40)); },
     "'second' ends at byte 1099511627794 of the data"},
    {"OffsetOverflow",
     [] { return PatchedBehind("second", 24, Number<std::uint64_t>(~0ull - 31)); },
     "'second': it starts"},
    {"Overlap", [] { return PatchedBehind("second", 24, Number<std::uint64_t>(0)); },
     "share bytes"},
};

class EveryWrongGguf : public ::testing::TestWithParam<Wrong> {};

TEST_P(EveryWrongGguf, IsRefusedInWords) {
  const Status status = Read(GetParam().file());
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(Gguf, EveryWrongGguf, ::testing::ValuesIn(wrong_files),
                         [](const auto& test) { return test.param.name; });

TEST(Gguf, RefusesAFileCutAnywhere) {
  const std::string file = Small().Finish();
  for (std::size_t size = 0; size < file.size(); ++size) {
    // In memory of exactly this size, so that a sanitizer sees a read beyond it.
    const std::vector<char> cut(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ReadGguf(std::as_bytes(std::span(cut))).ok()) << size << " of " << file.size();
  }
}

TEST(Gguf, SurvivesEveryByteChanged) {
  const std::string file = Small().Finish();
  for (std::size_t i = 0; i < file.size(); ++i) {
    for (const char value : {'\0', '\x7f', '\xff'}) {
      std::string changed = file;
      changed[i] = value;
      const auto part = ReadGguf(AsBytes(changed));
      if (part.ok()) continue;
      EXPECT_FALSE(part.status().message().empty());
    }
  }
}

TEST(Gguf, RefusesAFileThatIsAllKeys) {
  GgufWriter writer;
  for (int i = 0; i < 300; ++i) writer.U32(std::to_string(i) + std::string(60000, 'k'), 1);
  EXPECT_THAT(Read(writer.Finish()).message(),
              HasSubstr("keys and names of more than 16777216 bytes"));
}

TEST(Gguf, EscapesAndCutsNamesInMessages) {
  const std::string name = "\x1b[31m" + std::string(500, 'n');
  const Status status = Read(GgufWriter().Tensor(name, 99, {1}, "").Finish());
  EXPECT_THAT(status.message(), HasSubstr("'\\x1b[31mnnn"));
  EXPECT_LT(status.message().size(), 250u);
}

}  // namespace
}  // namespace bramble::model::files
