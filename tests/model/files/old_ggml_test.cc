// Files of llama.cpp from before GGUF: stored GGUF models written in each of the older forms have
// the same values under the same names.
#include "model/files/old_ggml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "kernels/convert.h"
#include "kernels/encodings/bits.h"
#include "kernels/encodings/encoding.h"
#include "model/families/compile.h"
#include "model/files/gguf.h"
#include "model/files/table.h"
#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kGgml = 0x67676d6c;
constexpr std::uint32_t kGgmf = 0x67676d66;
constexpr std::uint32_t kGgjt = 0x67676a74;

struct Form {
  const char* name;
  std::uint32_t magic;
  std::uint32_t version;
  bool neighbours() const { return magic != kGgjt || version == 1; }
  bool halves() const { return magic == kGgjt && version == 3; }
};
constexpr Form kForms[] = {{"ggml", kGgml, 0},
                           {"ggmf version 1", kGgmf, 1},
                           {"ggjt version 1", kGgjt, 1},
                           {"ggjt version 2", kGgjt, 2},
                           {"ggjt version 3", kGgjt, 3}};

ModelFiles Golden(const std::string& name) {
  auto files =
      OpenGguf(std::string(BRAMBLE_SOURCE_DIR) + "/tests/golden/models/" + name + "/model.gguf");
  CHECK(files.ok());
  return *std::move(files);
}

std::string OldName(const std::string& name) {
  static const std::map<std::string, std::string> names = {{"token_embd", "tok_embeddings"},
                                                           {"output_norm", "norm"},
                                                           {"output", "output"},
                                                           {"attn_q", "attention.wq"},
                                                           {"attn_k", "attention.wk"},
                                                           {"attn_v", "attention.wv"},
                                                           {"attn_output", "attention.wo"},
                                                           {"ffn_gate", "feed_forward.w1"},
                                                           {"ffn_down", "feed_forward.w2"},
                                                           {"ffn_up", "feed_forward.w3"},
                                                           {"attn_norm", "attention_norm"},
                                                           {"ffn_norm", "ffn_norm"}};
  std::string base = name.substr(0, name.rfind('.'));
  std::string layer;
  if (base.starts_with("blk.")) {
    const std::size_t dot = base.find('.', 4);
    layer = std::string("layers.").append(base.substr(4, dot - 3));
    base = base.substr(dot + 1);
  }
  return layer.append(names.at(base)).append(".weight");
}

// A scale of f16 as the form keeps it.
std::string Scale(const std::byte* half, bool halves) {
  if (halves) return {reinterpret_cast<const char*>(half), 2};
  return Raw(kernels::HalfAt(half));
}

// 16 bytes of nibbles in the form's order.
std::string Nibbles(const std::byte* nibbles, bool neighbours) {
  std::string out(reinterpret_cast<const char*>(nibbles), 16);
  if (!neighbours) return out;
  const auto value = [&](std::size_t i) {
    return kernels::Byte(nibbles + i % 16) >> (4 * (i / 16)) & 15U;
  };
  for (std::size_t j = 0; j < 16; ++j) {
    out[j] = static_cast<char>(value(2 * j) | value(2 * j + 1) << 4U);
  }
  return out;
}

std::string Block(v1::Encoding encoding, const std::byte* block, const Form& form) {
  const auto text = [&](std::size_t from, std::size_t bytes) {
    return std::string(reinterpret_cast<const char*>(block) + from, bytes);
  };
  switch (encoding) {
    case v1::ENCODING_Q4_0:
      return Scale(block, form.halves()) + Nibbles(block + 2, form.neighbours());
    case v1::ENCODING_Q4_1:
      return Scale(block, form.halves()) + Scale(block + 2, form.halves()) +
             Nibbles(block + 4, form.neighbours());
    case v1::ENCODING_Q5_0:
      return text(0, 6) + Nibbles(block + 6, form.neighbours());
    case v1::ENCODING_Q8_0:
      return Scale(block, form.halves()) + text(2, 32);
    default:
      return text(0, encoding == v1::ENCODING_F32 ? 4 : 2);
  }
}

std::uint32_t TypeOf(v1::Encoding encoding) {
  static const std::map<v1::Encoding, std::uint32_t> types = {
      {v1::ENCODING_F32, 0},  {v1::ENCODING_F16, 1},  {v1::ENCODING_Q4_0, 2},
      {v1::ENCODING_Q4_1, 3}, {v1::ENCODING_Q5_0, 6}, {v1::ENCODING_Q8_0, 8}};
  return types.at(encoding);
}

std::string Header(const Form& form, std::uint32_t vocabulary, std::uint32_t layers = 2) {
  std::string out = Raw(form.magic);
  if (form.version != 0) out += Raw(form.version);
  for (const std::uint32_t number : {vocabulary, 64U, 32U, 4U, layers, 16U, 2U}) out += Raw(number);
  return out;
}

std::string Token(const Form& form, std::string_view text, float score) {
  std::string out = Raw(static_cast<std::uint32_t>(text.size())) + std::string(text);
  if (form.magic != kGgml) out += Raw(score);
  return out;
}

void AddTensor(const Form& form, std::string_view name, std::uint32_t type,
               const std::vector<std::uint64_t>& shape, const std::string& bytes,
               std::string* out) {
  *out += Raw(static_cast<std::uint32_t>(shape.size())) +
          Raw(static_cast<std::uint32_t>(name.size())) + Raw(type);
  for (std::size_t i = shape.size(); i-- > 0;) *out += Raw(static_cast<std::uint32_t>(shape[i]));
  *out += name;
  if (form.magic == kGgjt) out->append((32 - out->size() % 32) % 32, '\0');
  *out += bytes;
}

std::string Written(const ModelFiles& files, const Form& form) {
  const auto layers = FindValue(files.metadata, "llama.block_count")->Whole();
  std::string out = Header(form, 256, static_cast<std::uint32_t>(*layers));
  for (int id = 0; id < 256; ++id) {
    out += Token(form, id == 255 ? std::string_view("a b") : std::string_view("x"), 0.5F);
  }
  for (const Tensor& tensor : files.tensors.all()) {
    const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(tensor.encoding));
    std::string bytes;
    for (std::size_t at = 0; at < tensor.bytes.size(); at += info.block_bytes) {
      bytes += Block(tensor.encoding, tensor.bytes.data() + at, form);
    }
    AddTensor(form, OldName(tensor.name), TypeOf(tensor.encoding), tensor.shape, bytes, &out);
  }
  return out;
}

std::vector<float> Values(const Tensor& tensor) {
  const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(tensor.encoding));
  std::vector<float> values(tensor.values());
  info.decode(tensor.bytes.data(), values.size() / info.block_values, values.data());
  return values;
}

TEST(OldGgml, HasTheValuesOfTheSameModelInEveryForm) {
  for (const char* name : {"gguf_llama_q4_0", "gguf_llama_q4_1", "gguf_llama_q5_0",
                           "gguf_llama_q8_0", "gguf_llama_f16"}) {
    const ModelFiles golden = Golden(name);
    for (const Form& form : kForms) {
      SCOPED_TRACE(std::string(name).append(" as ").append(form.name));
      const std::string bytes = Written(golden, form);
      auto files = ReadOldGgml(AsBytes(bytes));
      ASSERT_TRUE(files.ok()) << files.status().message();
      EXPECT_EQ(files->container, form.name);
      ASSERT_EQ(files->tensors.all().size(), golden.tensors.all().size());
      for (const Tensor& tensor : golden.tensors.all()) {
        const Tensor* old = files->tensors.Find(tensor.name);
        ASSERT_NE(old, nullptr) << tensor.name;
        EXPECT_EQ(old->shape, tensor.shape);
        EXPECT_EQ(Values(*old), Values(tensor)) << tensor.name;
      }
      files->dialect = Dialect::kGguf;
      const auto compiled = families::Compile(*files, {});
      EXPECT_TRUE(compiled.ok()) << compiled.status().message();
    }
  }
}

TEST(OldGgml, KeepsScalesOfF32AndSaysWhatItWidens) {
  const Form form = kForms[3];
  const std::string four = Written(Golden("gguf_llama_q4_0"), form);
  EXPECT_EQ(ReadOldGgml(AsBytes(four))->tensors.Find("blk.0.attn_q.weight")->encoding,
            v1::ENCODING_INT4);
  const std::string one = Written(Golden("gguf_llama_q4_1"), form);
  const auto files = ReadOldGgml(AsBytes(one));
  EXPECT_EQ(files->tensors.Find("blk.0.attn_q.weight")->encoding, v1::ENCODING_F32);
  EXPECT_THAT(files->notes, ::testing::Contains(HasSubstr("Q4_1 of this version")));
}

TEST(OldGgml, ReadsBlocksOfSixteen) {
  const Form form = kForms[2];
  std::string bytes =
      Header(form, 3) + Token(form, "", 0) + Token(form, "", 0) + Token(form, "", 0);
  const std::string half = Raw(kernels::FloatToHalf(0.5F));
  std::string nibbles;
  for (int i = 0; i < 8; ++i) nibbles += static_cast<char>(2 * i | (2 * i + 1) << 4);
  const std::string two = half + nibbles;
  const std::string three = half + Raw(kernels::FloatToHalf(-1.0F)) + nibbles;
  AddTensor(form, "two", 4, {1, 32}, two + two, &bytes);
  AddTensor(form, "three", 5, {1, 32}, three + three, &bytes);
  const auto files = ReadOldGgml(AsBytes(bytes));
  ASSERT_TRUE(files.ok()) << files.status().message();
  const std::vector<float> first = Values(*files->tensors.Find("two"));
  const std::vector<float> second = Values(*files->tensors.Find("three"));
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(first[i], 0.5F * (static_cast<float>(i % 16) - 8));
    EXPECT_EQ(second[i], 0.5F * static_cast<float>(i % 16) - 1);
  }
}

TEST(OldGgml, SpellsTokensAsGgufDoes) {
  const Form form = kForms[4];
  std::string bytes = Header(form, 262);
  for (int id = 0; id < 262; ++id) {
    const std::string byte(1, static_cast<char>(id - 3));
    bytes += Token(form, id < 3 ? "" : (id < 259 ? byte : " a b"), static_cast<float>(-id));
  }
  const auto files = ReadOldGgml(AsBytes(bytes));
  ASSERT_TRUE(files.ok()) << files.status().message();
  const auto tokens = FindValue(files->metadata, "tokenizer.ggml.tokens")->Texts(1000);
  ASSERT_TRUE(tokens.ok());
  EXPECT_EQ((*tokens)[1], "<s>");
  EXPECT_EQ((*tokens)[3], "<0x00>");
  EXPECT_EQ((*tokens)[258], "<0xFF>");
  EXPECT_EQ((*tokens)[259],
            "\xe2\x96\x81"
            "a\xe2\x96\x81"
            "b");
  EXPECT_EQ(FindValue(files->metadata, "tokenizer.ggml.model")->Text(), "llama");
}

TEST(OldGgml, RefusesWhatDoesNotFit) {
  const Form form = kForms[4];
  const std::string good = Written(Golden("gguf_llama_q4_0"), form);
  for (std::size_t size = 0; size < good.size(); size += 97) {
    const auto files = ReadOldGgml(AsBytes(good).first(size));
    if (files.ok()) continue;  // a file may end behind any tensor
    EXPECT_THAT(files.status().message(), HasSubstr("the file ends")) << size;
  }
  const auto message = [&](std::uint32_t type, const std::vector<std::uint64_t>& shape,
                           std::string_view name) {
    std::string bytes = Header(form, 1) + Token(form, "x", 0);
    AddTensor(form, name, type, shape, "", &bytes);
    return ReadOldGgml(AsBytes(bytes)).status().message();
  };
  EXPECT_THAT(message(2, {1, 33}, "t"), HasSubstr("no whole blocks of Q4_0"));
  EXPECT_THAT(message(99, {1, 32}, "t"), HasSubstr("type 99 is not known"));
  EXPECT_THAT(message(0, {1, 1, 1}, "t"), HasSubstr("a tensor of 3 dimensions"));
  EXPECT_THAT(message(0, {0}, "t"), HasSubstr("a side of 0"));
  EXPECT_THAT(message(0, {1U << 24U, 1U << 24U}, "t"), HasSubstr("the file ends"));
  EXPECT_THAT(message(0, {1}, ""), HasSubstr("a name is empty"));
  EXPECT_THAT(ReadOldGgml(AsBytes(Header({"", kGgjt, 4}, 1))).status().message(),
              HasSubstr("version 4 of this kind of file"));
  EXPECT_THAT(ReadOldGgml(AsBytes(Header(form, 0xffffffff))).status().message(),
              HasSubstr("are no model's"));
}

TEST(OldGgml, IsRecognizedByItsContent) {
  TemporaryFolder folder;
  const std::string path = folder.Write("model.bin", Written(Golden("gguf_llama_q4_0"), kForms[0]));
  const auto files = OpenModelFiles(path);
  ASSERT_TRUE(files.ok()) << files.status().message();
  EXPECT_EQ(files->container, "ggml");
  EXPECT_EQ(files->maps.size(), 1U);
}

}  // namespace
}  // namespace bramble::model::files
