// PyTorch's files: what torch.save writes comes out, and nothing in them is ever run.
#include "model/files/pytorch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "model/files/pickle.h"
#include "model/files/table.h"
#include "model/files/zip.h"
#include "tests/model/files/file_helpers.h"
#include "tests/model/files/pytorch_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Made by tests/fuzz/make_model_corpus.py with Python's own pickler.
std::string Stored(const std::string& name) {
  std::ifstream file(std::string(BRAMBLE_SOURCE_DIR) + "/tests/fuzz/corpus/pytorch/" + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<float> Floats(const Tensor& tensor) {
  std::vector<float> values(tensor.bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::string MessageOf(const std::string& bytes) {
  const auto file = ReadPytorch(AsBytes(bytes));
  return file.ok() ? "" : file.status().message();
}

TEST(Pytorch, ReadsWhatBothFormatsHold) {
  for (const char* name : {"zip", "legacy"}) {
    const std::string bytes = Stored(name);
    const auto file = ReadPytorch(AsBytes(bytes));
    ASSERT_TRUE(file.ok()) << name << ": " << file.status().message();
    EXPECT_EQ(file->zip, std::string(name) == "zip");
    std::map<std::string, Tensor> tensors;
    for (const Tensor& tensor : file->tensors) tensors[tensor.name] = tensor;
    ASSERT_EQ(tensors.size(), 10U) << name;
    EXPECT_THAT(Floats(tensors["a.weight"]), ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_THAT(tensors["a.weight"].shape, ElementsAre(2, 3));
    EXPECT_EQ(tensors["tied"].bytes.data(), tensors["a.weight"].bytes.data());
    EXPECT_THAT(Floats(tensors["turned"]), ElementsAre(1, 4, 2, 5, 3, 6));
    EXPECT_THAT(Floats(tensors["last"]), ElementsAre(5, 6));
    EXPECT_THAT(Floats(tensors["one"]), ElementsAre(3));
    EXPECT_TRUE(tensors["one"].shape.empty());
    EXPECT_EQ(tensors["half"].encoding, v1::ENCODING_F16);
    EXPECT_EQ(tensors["brain"].encoding, v1::ENCODING_BF16);
    EXPECT_EQ(tensors["count"].type, "I64");
    EXPECT_EQ(tensors["mask"].type, "BOOL");
    EXPECT_THAT(tensors["none"].shape, ElementsAre(0, 4));
  }
}

TEST(Pytorch, TakesTheWeightsOfATrainingRunAndWhatIsSaidBesideThem) {
  for (const char* name : {"training_zip", "training_legacy"}) {
    const std::string bytes = Stored(name);
    const auto file = ReadPytorch(AsBytes(bytes));
    ASSERT_TRUE(file.ok()) << name << ": " << file.status().message();
    ASSERT_EQ(file->tensors.size(), 1U);
    EXPECT_EQ(file->tensors[0].name, "w");
    EXPECT_EQ(FindValue(file->metadata, "model_args.n_layer")->Whole(), 2);
    EXPECT_EQ(FindValue(file->metadata, "model_args.bias")->Flag(), false);
    EXPECT_EQ(FindValue(file->metadata, "config.arch")->Text(), "gpt");
    EXPECT_EQ(FindValue(file->metadata, "config.heads")->Whole(), -3);
    EXPECT_EQ(FindValue(file->metadata, "best_val_loss")->Real(), 1.5);
  }
}

TEST(Pytorch, StandsBesideAConfigJson) {
  TemporaryFolder folder;
  folder.Write("config.json", R"({"model_type":"tiny"})");
  folder.Write("pytorch_model.bin", Stored("legacy"));
  const auto opened = OpenModelFiles(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  EXPECT_EQ(opened->container, "PyTorch");
  EXPECT_EQ(opened->tensors.all().size(), 10U);
  const auto file = OpenModelFiles(folder.Write("model.pth", Stored("zip")));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(FindValue(file->metadata, "model_type")->Text(), "tiny");
}

TEST(Pytorch, MayBeInSeveralFilesThatAnIndexNames) {
  TemporaryFolder folder;
  folder.Write("config.json", "{}");
  folder.Write("a.bin", TorchZip(Dict(PickleText().Tensor("x", 0, {1}, {1})), {{"0", "aaaa"}}));
  folder.Write("b.bin", TorchZip(Dict(PickleText().Tensor("y", 0, {1}, {1})), {{"0", "bbbb"}}));
  folder.Write("pytorch_model.bin.index.json", R"({"weight_map":{"x":"a.bin","y":"b.bin"}})");
  const auto opened = OpenModelFiles(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  EXPECT_EQ(opened->container, "PyTorch, 2 files");
  EXPECT_EQ(TextOf(opened->tensors.Find("y")->bytes), "bbbb");
}

// A pickle that would run a command when Python loads it.
std::string Calling(std::string_view module, std::string_view name, std::string_view argument) {
  return PickleText().Name(module, name).Text(argument).Op("\x85R").Finish();
}

TEST(Pytorch, RefusesByNameWhateverWouldRunAndRunsNothing) {
  TemporaryFolder folder;
  const std::string touched = folder.Path("touched");
  const std::pair<const char*, const char*> functions[] = {
      {"os", "system"},
      {"posix", "system"},
      {"subprocess", "Popen"},
      {"builtins", "eval"},
      {"__builtin__", "exec"},
      {"builtins", "getattr"},
      {"torch", "load"},
      {"torch.hub", "load"},
      {"collections", "OrderedDict.update"},
      {"torch._utils", "_rebuild_tensor_v2.__globals__"},
      {"numpy", "load"},
  };
  for (const auto& [module, name] : functions) {
    for (const bool in_zip : {true, false}) {
      const std::string pickle = Calling(module, name, std::string("touch ").append(touched));
      std::string bytes = TorchZip(pickle, {});
      if (!in_zip) {
        const std::string legacy = Stored("legacy");
        // The first three pickles, then this one.
        std::size_t at = 0;
        for (int i = 0; i < 3; ++i) {
          std::size_t length = 0;
          ASSERT_TRUE(Pickle::Read(AsBytes(legacy).subspan(at), &length).ok());
          at += length;
        }
        bytes = legacy.substr(0, at) + pickle;
      }
      EXPECT_THAT(MessageOf(bytes), HasSubstr(std::string("'").append(name).append("'"))) << module;
      EXPECT_THAT(MessageOf(bytes), HasSubstr("nothing of it has been run"));
    }
  }
  // The same through the stack, as newer protocols name functions.
  const std::string stacked =
      PickleText().Text("os").Text("system").Op("\x93").Text("x").Op("\x85R").Finish();
  EXPECT_THAT(MessageOf(TorchZip(stacked, {})), HasSubstr("'os' 'system'"));
  EXPECT_FALSE(std::filesystem::exists(touched));
}

TEST(Pytorch, RefusesTensorsThatDoNotFitTheirStorage) {
  const std::string storage(4 * 12, 'x');
  const struct {
    PickleText items;
    const char* message;
  } cases[] = {
      {PickleText().Tensor("t", 0, {13}, {1}), "ends past its storage of 12 elements"},
      {PickleText().Tensor("t", 1, {3, 4}, {4, 1}), "ends past its storage"},
      {PickleText().Tensor("t", -1, {1}, {1}), "begins at element -1"},
      {PickleText().Tensor("t", 12, {1}, {1}), "begins at element 12"},
      {PickleText().Tensor("t", 0, {-2}, {1}), "no whole number from 0"},
      {PickleText().Tensor("t", 0, {2}, {-1}), "no whole number from 0"},
      {PickleText().Tensor("t", 0, {2, 2}, {1}), "more sizes than strides"},
      {PickleText().Tensor("t", 0, {1 << 30, 1 << 30}, {0, 0}), "more values than the 12"},
      {PickleText().Tensor("t", 0, {13, 1}, {0, 1}), "more values than the 12"},
      {PickleText().Tensor("t", 0, {2, 2}, {0x7fffffff, 1}), "ends past its storage"},
      {PickleText().Tensor("t", 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}),
       "9 dimensions"},
      {PickleText().Tensor("t", 0, {1 << 30, 1 << 30, 1 << 30}, {0, 0, 0}), "2^63"},
      {PickleText().Tensor("t", 0, {1}, {1}, "1"), "storage '1' is missing"},
      {PickleText().Tensor(std::string("a\0b", 3), 0, {1}, {1}), "NUL"},
      {PickleText().Tensor("t", 0, {1}, {1}, "0", "Size"), "the type 'torch.Size' cannot be read"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(MessageOf(TorchZip(Dict(c.items), {{"0", storage}})), HasSubstr(c.message));
  }
  // Copies of what does not lie side by side are bounded by the file.
  PickleText memoized;
  memoized.Tensor("t", 0, {3, 4}, {1, 3}).Op("q\x01");
  for (int i = 0; i < 400; ++i)
    memoized.Text(std::string("t").append(std::to_string(i))).Op("h\x01");
  EXPECT_THAT(MessageOf(TorchZip(Dict(memoized), {{"0", storage}})),
              HasSubstr("larger than the file"));
}

TEST(Pytorch, RefusesPicklesThatAreNotWellFormed) {
  const std::string deep(1 << 16, '(');
  const std::pair<std::string, const char*> cases[] = {
      {"", "cut off"},
      {"\x80", "cut off"},
      {PickleText().Finish(), "the stack is empty"},
      {PickleText().Op("}").Op("a").Finish(), "the stack is empty"},
      {PickleText().Op("NNa").Finish(), "items are added to what has none"},
      {PickleText().Op("}(Nu").Finish(), "a key without a value"},
      {PickleText().Op("t").Finish(), "there is no mark"},
      {PickleText().Op("]((\x85").Finish(), "the stack is empty"},
      {PickleText().Op("h\x07").Finish(), "the memo has nothing at 7"},
      {PickleText().Op("X\xff\xff\xff\x7f").Finish(), "a text of 2147483647 bytes"},
      {PickleText().Op("X\x09").Finish(), "cut off"},
      {PickleText().Op("Q").Finish(), "the stack is empty"},
      {PickleText().Op(")Q").Finish(), "a storage's id"},
      {PickleText().Op("N)R").Finish(), "called that is no name"},
      {PickleText().Name("torch", "FloatStorage").Op(")R").Finish(), "only a name"},
      {PickleText().Name("torch._utils", "_rebuild_tensor_v2").Op(")R").Finish(),
       "a tensor is not"},
      {PickleText().Op("N}b").Finish(), "a state is given to what has none"},
      {PickleText().Op("Pid\n").Finish(), "operation 80"},
      {PickleText().Op("ios\nsystem\n").Finish(), "operation 105"},
      {PickleText().Op("\x82\x01").Finish(), "operation 130"},
      {PickleText().Op(deep).Finish(), "the stack is empty"},
      {PickleText().Op("c").Op(std::string(5000, 'a')).Finish(), "a line does not end"},
      {PickleText().Op("K\x05").Finish(), "no dict of tensors"},
      {PickleText().Op("}").Finish(), "no tensors"},
  };
  for (const auto& [pickle, message] : cases) {
    EXPECT_THAT(MessageOf(TorchZip(pickle, {})), HasSubstr(message));
  }
}

TEST(Pytorch, BoundsWhatAPickleCostsByItsSize) {
  // A dict that contains itself, and one that doubles with every level.
  const std::string self = PickleText().Op("}q\x01").Text("a").Op("h\x01s").Finish();
  EXPECT_THAT(MessageOf(TorchZip(self, {})), HasSubstr("no tensors"));
  PickleText doubling;
  doubling.Op("}q").Op(std::string(1, '\0'));
  for (char level = 1; level < 60; ++level) {
    doubling.Op("}q").Op(std::string(1, level));
    for (const char* key : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}) {
      doubling.Text(key).Op("h").Op(std::string(1, static_cast<char>(level - 1))).Op("s");
    }
  }
  EXPECT_FALSE(MessageOf(TorchZip(doubling.Finish(), {})).empty());
  // A long tuple that is called again and again.
  PickleText calls;
  calls.Op("(").Op(std::string(100000, 'N')).Op("tq\x01");
  for (int i = 0; i < 1000; ++i) calls.Name("torch", "Size").Op("h\x01R");
  EXPECT_THAT(MessageOf(TorchZip(calls.Finish(), {})), HasSubstr("items are moved about"));
  EXPECT_THAT(MessageOf(TorchZip(PickleText().Op(std::string((1 << 20) + 1, 'N')).Finish(), {})),
              HasSubstr("more than 1048576 values"));
}

TEST(Zip, ReadsStoredMembersOfBothSizes) {
  for (const bool large : {false, true}) {
    ZipWriter zip;
    zip.Add("one", "first").large = large;
    zip.Add("two", "").large = large;
    const std::string bytes = zip.Finish(large, large ? "" : "a comment");
    const auto members = ReadZip(AsBytes(bytes));
    ASSERT_TRUE(members.ok()) << members.status().message();
    ASSERT_EQ(members->size(), 2U);
    EXPECT_EQ((*members)[0].name, "one");
    EXPECT_EQ(TextOf((*members)[0].bytes), "first");
    EXPECT_EQ((*members)[1].bytes.size(), 0U);
  }
}

TEST(Zip, RefusesWhatCouldExpandOverlapOrLie) {
  const struct {
    void (*tell)(ZipWriter::Member&);
    const char* message;
  } lies[] = {
      {[](auto& m) { m.method = 8; }, "it is compressed (method 8)"},
      {[](auto& m) { m.size = 1U << 31U; }, "it is compressed (method 0)"},
      {[](auto& m) { m.size = m.packed = 1U << 31U; }, "its 2147483648 bytes at"},
      {[](auto& m) { m.flags = 1; }, "it is encrypted"},
      {[](auto& m) { m.local_name = "other"; }, "another name or method: 'other'"},
      {[](auto& m) { m.offset = 1; }, "there is no header at byte 1"},
      {[](auto& m) { m.offset = 1 << 30; }, "there is no header"},
      {[](auto& m) { m.offset = 0; }, "another name or method"},
      {[](auto& m) { m.name = m.local_name = "a"; }, "two members are named 'a'"},
  };
  for (const auto& lie : lies) {
    ZipWriter zip;
    zip.Add("a", "aaaa");
    lie.tell(zip.Add("b", "bbbb"));
    const std::string bytes = zip.Finish();
    EXPECT_THAT(ReadZip(AsBytes(bytes)).status().message(), HasSubstr(lie.message));
  }
  ZipWriter twice;
  twice.Add("a", "aaaa");
  twice.Add("a", "aaaa").offset = 0;
  const std::string bytes = twice.Finish();
  EXPECT_THAT(ReadZip(AsBytes(bytes)).status().message(), HasSubstr("share bytes"));
}

TEST(Zip, RefusesEveryBeginningOfAnArchive) {
  for (const bool large : {false, true}) {
    ZipWriter zip;
    zip.Add("one", "first").large = large;
    const std::string bytes = zip.Finish(large);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(ReadZip(AsBytes(bytes).first(size)).ok()) << size;
    }
  }
}

}  // namespace
}  // namespace bramble::model::files
