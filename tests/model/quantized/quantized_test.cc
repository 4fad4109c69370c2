// Each layout of quantized matrices: what a writer of its own packs comes out to the bit, and what
// does not fit is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>

#include "kernels/encodings/float_codebooks.h"
#include "kernels/encodings/float_types.h"
#include "model/quantized/table.h"
#include "tests/model/quantized/checkpoint_helpers.h"

namespace bramble::model::quantized {
namespace {

using ::testing::HasSubstr;

constexpr std::uint32_t kInputs = 256;
constexpr std::uint32_t kOutputs = 64;

// [rows, columns] in rows of streams along the other side.
std::vector<std::uint32_t> StreamColumns(const std::vector<std::uint32_t>& values,
                                         std::uint32_t rows, std::uint32_t columns,
                                         std::uint32_t bits) {
  std::vector<std::uint32_t> words(std::size_t{rows} * bits / 32 * columns);
  for (std::uint32_t column = 0; column < columns; ++column) {
    std::vector<std::uint32_t> one;
    for (std::uint32_t row = 0; row < rows; ++row) one.push_back(values[row * columns + column]);
    const auto stream = Stream(one, bits);
    for (std::size_t w = 0; w < stream.size(); ++w) words[w * columns + column] = stream[w];
  }
  return words;
}

std::vector<std::uint32_t> StreamRows(const std::vector<std::uint32_t>& values,
                                      std::uint32_t columns, std::uint32_t bits) {
  std::vector<std::uint32_t> words;
  for (std::size_t at = 0; at < values.size(); at += columns) {
    const auto stream = Stream(std::span(values).subspan(at, columns), bits);
    words.insert(words.end(), stream.begin(), stream.end());
  }
  return words;
}

struct Made {
  Checkpoint checkpoint;
  std::vector<float> values;  // [outputs, inputs]
};

struct GptqCase {
  std::uint32_t bits;
  std::int64_t group;
  bool act_order;
  bool version2;
};

Made MakeGptq(const GptqCase& c) {
  Random random(7);
  Made made;
  const auto size = static_cast<std::uint32_t>(c.group > 0 ? c.group : kInputs);
  const std::uint32_t groups = kInputs / size;
  const auto codes = RandomWholes(&random, kInputs * kOutputs, 1U << c.bits);  // [inputs, outputs]
  auto zeros = RandomWholes(&random, groups * kOutputs, (1U << c.bits) - 1);   // as stored
  const auto scales = RandomScales(&random, groups * kOutputs);
  std::vector<std::int32_t> group_of(kInputs);
  for (std::uint32_t i = 0; i < kInputs; ++i) group_of[i] = static_cast<std::int32_t>(i / size);
  if (c.act_order) std::shuffle(group_of.begin(), group_of.end(), random);
  made.values.resize(codes.size());
  for (std::uint32_t i = 0; i < kInputs; ++i) {
    for (std::uint32_t o = 0; o < kOutputs; ++o) {
      const std::size_t at = static_cast<std::size_t>(group_of[i]) * kOutputs + o;
      const int zero = static_cast<int>(zeros[at]) + (c.version2 ? 0 : 1);
      made.values[std::size_t{o} * kInputs + i] =
          scales[at] * static_cast<float>(static_cast<int>(codes[i * kOutputs + o]) - zero);
    }
  }
  Checkpoint& m = made.checkpoint;
  m.Say("quant_method", "gptq");
  m.Say("bits", c.bits);
  m.Say("group_size", c.group);
  if (c.version2) m.Say("checkpoint_format", "gptq_v2");
  m.Add("qweight", "I32", {kInputs * c.bits / 32, kOutputs},
        StreamColumns(codes, kInputs, kOutputs, c.bits));
  m.Add("qzeros", "I32", {groups, kOutputs * c.bits / 32}, StreamRows(zeros, kOutputs, c.bits));
  m.Add("scales", "F16", {groups, kOutputs}, Halves(scales));
  m.Add("g_idx", "I32", {kInputs}, group_of);
  return made;
}

TEST(Quantized, GptqComesOutAsItWasPacked) {
  const GptqCase cases[] = {
      {2, 32, false, false}, {3, 32, true, false},  {3, 64, false, true}, {4, 128, false, false},
      {4, 32, true, true},   {4, -1, false, false}, {8, 64, true, false}, {8, -1, false, true},
  };
  for (const GptqCase& c : cases) {
    Made made = MakeGptq(c);
    const auto matrix = made.checkpoint.Open();
    ASSERT_TRUE(matrix.ok()) << matrix.status().message();
    EXPECT_EQ((*matrix)->permutation().empty(), !c.act_order);
    EXPECT_EQ(ValuesOf(**matrix), made.values) << c.bits << " bits by " << c.group;
  }
}

TEST(Quantized, GptqTakesRowsOfFourBitsInTheLargerBlockWhereGroupsAllowIt) {
  EXPECT_EQ((*MakeGptq({4, 128, true, false}).checkpoint.Open())->parts()[0].encoding,
            v1::ENCODING_INT4_128);
  EXPECT_EQ((*MakeGptq({4, 64, true, false}).checkpoint.Open())->parts()[0].encoding,
            v1::ENCODING_INT4);
}

TEST(Quantized, GptqTakesAnIndexOfZerosForNone) {
  Made made = MakeGptq({4, 32, false, false});
  std::string& index = made.checkpoint.Bytes("g_idx");
  index.assign(index.size(), '\0');
  const auto matrix = made.checkpoint.Open();
  ASSERT_TRUE(matrix.ok()) << matrix.status().message();
  EXPECT_EQ(ValuesOf(**matrix), made.values);
}

Made MakeAwq() {
  Random random(8);
  Made made;
  constexpr std::uint32_t kSize = 64;
  constexpr std::uint32_t kGroups = kInputs / kSize;
  constexpr std::uint32_t kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
  const auto codes = RandomWholes(&random, kInputs * kOutputs, 16);
  const auto zeros = RandomWholes(&random, kGroups * kOutputs, 16);
  const auto scales = RandomScales(&random, kGroups * kOutputs);
  const auto pack = [&](const std::vector<std::uint32_t>& values) {
    std::vector<std::uint32_t> ordered(values.size());
    for (std::size_t at = 0; at < values.size(); ++at) {
      ordered[at] = values[at / 8 * 8 + kOrder[at % 8]];
    }
    return Stream(ordered, 4);
  };
  made.values.resize(codes.size());
  for (std::uint32_t i = 0; i < kInputs; ++i) {
    for (std::uint32_t o = 0; o < kOutputs; ++o) {
      const std::size_t at = std::size_t{i / kSize} * kOutputs + o;
      const int whole = static_cast<int>(codes[i * kOutputs + o]) - static_cast<int>(zeros[at]);
      made.values[std::size_t{o} * kInputs + i] = scales[at] * static_cast<float>(whole);
    }
  }
  Checkpoint& m = made.checkpoint;
  m.Say("quant_method", "awq");
  m.Say("version", "gemm");
  m.Say("bits", 4);
  m.Say("group_size", kSize);
  m.Add("qweight", "I32", {kInputs, kOutputs / 8}, pack(codes));
  m.Add("qzeros", "I32", {kGroups, kOutputs / 8}, pack(zeros));
  m.Add("scales", "F16", {kGroups, kOutputs}, Halves(scales));
  return made;
}

Made MakePacked(std::uint32_t bits, bool zeros_of_its_own) {
  Random random(9);
  Made made;
  constexpr std::uint32_t kGroups = kInputs / 32;
  const auto codes = RandomWholes(&random, kOutputs * kInputs, 1U << bits);  // [outputs, inputs]
  const auto zeros = RandomWholes(&random, kOutputs * kGroups, 1U << bits);
  const auto scales = RandomScales(&random, kOutputs * kGroups);
  for (std::size_t at = 0; at < codes.size(); ++at) {
    const int zero = zeros_of_its_own ? static_cast<int>(zeros[at / 32]) : 1 << (bits - 1);
    made.values.push_back(scales[at / 32] * static_cast<float>(static_cast<int>(codes[at]) - zero));
  }
  Checkpoint& m = made.checkpoint;
  m.Add("weight_packed", "I32", {kOutputs, kInputs * bits / 32}, StreamRows(codes, kInputs, bits));
  m.Add("weight_scale", "F32", {kOutputs, kGroups}, scales);
  m.Add("weight_shape", "I64", {2}, std::vector<std::int64_t>{kOutputs, kInputs});
  if (zeros_of_its_own) {
    m.Add("weight_zero_point", "I32", {kOutputs * bits / 32, kGroups},
          StreamColumns(zeros, kOutputs, kGroups, bits));
  }
  return made;
}

Made MakeFourBit(bool fp4, bool nested) {
  Random random(10);
  Made made;
  const float* codebook = fp4 ? kernels::fp4_values : kernels::nf4_values;
  const auto codes = RandomWholes(&random, kOutputs * kInputs, 16);
  const std::size_t blocks = codes.size() / 64;
  const auto bytes = RandomWholes(&random, blocks, 256);
  const auto scales = RandomScales(&random, blocks);
  const auto map = RandomScales(&random, 256);
  std::vector<std::uint8_t> packed;
  for (std::size_t at = 0; at < codes.size(); at += 2) {
    packed.push_back(static_cast<std::uint8_t>(codes[at] << 4U | codes[at + 1]));
  }
  for (std::size_t at = 0; at < codes.size(); ++at) {
    const std::size_t block = at / 64;
    const float scale = nested ? map[bytes[block]] * scales[block / 16] + 0.25F : scales[block];
    made.values.push_back(scale * codebook[codes[at]]);
  }
  Checkpoint& m = made.checkpoint;
  m.Add("weight", "U8", {packed.size(), 1}, packed);
  m.Add("weight.quant_map", "F32", {16}, std::vector<float>(codebook, codebook + 16));
  std::string state = R"({"quant_type":"x","blocksize":64,"dtype":"float16","shape":[64,256])";
  if (nested) {
    state += R"(,"nested_blocksize":16,"nested_dtype":"float32","nested_offset":0.25)";
    m.Add("weight.absmax", "U8", {blocks}, std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
    m.Add("weight.nested_absmax", "F32", {blocks / 16},
          std::vector<float>(scales.begin(), scales.begin() + static_cast<long>(blocks / 16)));
    m.Add("weight.nested_quant_map", "F32", {256}, map);
  } else {
    m.Add("weight.absmax", "F32", {blocks}, scales);
  }
  state += "}";
  const std::string name = fp4 ? "fp4" : "nf4";
  m.Add("weight.quant_state.bitsandbytes__" + name, "U8", {state.size()}, state);
  return made;
}

// `kind`: the tensor with the scales.
Made MakeBytes(std::string_view type, std::string_view kind, std::vector<std::uint64_t> shape) {
  Random random(11);
  Made made;
  auto codes = RandomWholes(&random, kOutputs * kInputs, 256);
  std::uint64_t count = 1;
  for (const std::uint64_t side : shape) count *= side;
  const auto scales = RandomScales(&random, count);
  for (std::size_t at = 0; at < codes.size(); ++at) {
    if ((codes[at] & 127U) == 127) codes[at] = 1;  // no number of E4M3
    const std::size_t output = at / kInputs;
    std::size_t place = count == 1 ? 0 : output;
    if (shape.size() == 2 && shape[1] > 1) place = output / 128 * shape[1] + at % kInputs / 128;
    const float scale = kind == "SCB" ? scales[place] / 127 : scales[place];
    const float value = type == "I8" ? static_cast<float>(static_cast<std::int8_t>(codes[at]))
                                     : kernels::WidenE4M3(codes[at]);
    made.values.push_back(scale * value);
  }
  made.checkpoint.Add("weight", type, {kOutputs, kInputs},
                      std::vector<std::uint8_t>(codes.begin(), codes.end()));
  made.checkpoint.Add(kind, "F32", std::move(shape), scales);
  return made;
}

// Groups of 8, 5, 3 and 2 bits, the last one shorter than its rows.
Made MakeExl2() {
  Random random(12);
  Made made;
  const std::pair<std::uint32_t, std::uint32_t> groups[] = {
      {8, 32}, {5, 64}, {5, 32}, {3, 64}, {2, 64}};
  const std::size_t count = std::size(groups);
  std::vector<std::uint32_t> order(kInputs);
  std::iota(order.begin(), order.end(), 0U);
  std::shuffle(order.begin(), order.end(), random);
  std::vector<std::int32_t> places(kInputs);
  for (std::uint32_t i = 0; i < kInputs; ++i) places[order[i]] = static_cast<std::int32_t>(i);
  const auto nibbles = RandomWholes(&random, count * kOutputs, 16);
  const auto most = RandomScales(&random, count);
  made.values.resize(std::size_t{kOutputs} * kInputs);
  std::vector<std::uint32_t> rows;
  std::vector<std::int16_t> table;
  std::uint32_t first = 0;
  for (std::size_t g = 0; g < count; ++g) {
    const auto [bits, width] = groups[g];
    const auto codes = RandomWholes(&random, width * kOutputs, 1U << bits);  // [width, outputs]
    table.push_back(static_cast<std::int16_t>(bits));
    table.push_back(static_cast<std::int16_t>(rows.size() / kOutputs));
    const auto words = StreamColumns(codes, width, kOutputs, bits);
    rows.insert(rows.end(), words.begin(), words.end());
    for (std::uint32_t i = 0; i < width; ++i) {
      for (std::uint32_t o = 0; o < kOutputs; ++o) {
        const auto c = static_cast<float>(nibbles[g * kOutputs + o] + 1);
        const int whole = static_cast<int>(codes[i * kOutputs + o]) - (1 << (bits - 1));
        made.values[std::size_t{o} * kInputs + order[first + i]] =
            c * c * (most[g] / 256) * static_cast<float>(whole);
      }
    }
    first += width;
  }
  Checkpoint& m = made.checkpoint;
  m.Add("q_weight", "I32", {rows.size() / kOutputs, kOutputs}, rows);
  m.Add("q_groups", "I16", {2 * count}, table);
  m.Add("q_scale", "I32", {count, kOutputs / 8}, StreamRows(nibbles, kOutputs, 4));
  m.Add("q_scale_max", "F16", {count}, Halves(most));
  m.Add("q_invperm", "I32", {kInputs}, places);
  return made;
}

Made MakeMlc() {
  Random random(13);
  Made made;
  const auto codes = RandomWholes(&random, kOutputs * kInputs, 15);  // [outputs, inputs]
  const auto scales = RandomScales(&random, codes.size() / 32);
  for (std::size_t at = 0; at < codes.size(); ++at) {
    made.values.push_back(scales[at / 32] * static_cast<float>(static_cast<int>(codes[at]) - 7));
  }
  made.checkpoint.Add("q_weight", "U32", {kOutputs, kInputs / 8}, StreamRows(codes, kInputs, 4));
  made.checkpoint.Add("q_scale", "F16", {kOutputs, kInputs / 32}, Halves(scales));
  return made;
}

TEST(Quantized, EveryOtherLayoutComesOutAsItWasPacked) {
  const std::pair<const char*, std::function<Made()>> cases[] = {
      {"AWQ", MakeAwq},
      {"packed, 4 bits", [] { return MakePacked(4, false); }},
      {"packed, 4 bits, zeros", [] { return MakePacked(4, true); }},
      {"packed, 8 bits", [] { return MakePacked(8, false); }},
      {"NF4", [] { return MakeFourBit(false, false); }},
      {"NF4, double", [] { return MakeFourBit(false, true); }},
      {"FP4", [] { return MakeFourBit(true, false); }},
      {"LLM.int8", [] { return MakeBytes("I8", "SCB", {kOutputs}); }},
      {"int8 by channel",
       [] {
         return MakeBytes("I8", "weight_scale", {kOutputs, 1});
       }},
      {"E4M3 by channel",
       [] {
         return MakeBytes("F8_E4M3", "weight_scale", {kOutputs, 1});
       }},
      {"E4M3, one scale", [] { return MakeBytes("F8_E4M3", "weight_scale", {}); }},
      {"E4M3 by block",
       [] {
         return MakeBytes("F8_E4M3", "weight_scale_inv", {1, 2});
       }},
      {"EXL2", MakeExl2},
      {"MLC", MakeMlc},
  };
  for (const auto& [name, make] : cases) {
    Made made = make();
    const auto matrix = made.checkpoint.Open();
    ASSERT_TRUE(matrix.ok()) << name << ": " << matrix.status().message();
    EXPECT_EQ((*matrix)->outputs(), kOutputs) << name;
    EXPECT_EQ(ValuesOf(**matrix), made.values) << name;
  }
}

TEST(Quantized, Exl2IsOnePartForEachWidth) {
  const auto matrix = MakeExl2().checkpoint.Open();
  std::vector<v1::Encoding> encodings;
  for (const Part& part : (*matrix)->parts()) encodings.push_back(part.encoding);
  EXPECT_THAT(encodings, ::testing::ElementsAre(v1::ENCODING_INT8, v1::ENCODING_INT5,
                                                v1::ENCODING_INT3, v1::ENCODING_INT2));
}

TEST(Quantized, Exl2MayHavePaddedOutputs) {
  const auto matrix = MakeExl2().checkpoint.Open();
  EXPECT_TRUE((*matrix)->Fits(kOutputs - 31));
  EXPECT_FALSE((*matrix)->Fits(kOutputs - 32));
  EXPECT_FALSE((*matrix)->Fits(kOutputs + 1));
}

void Set32(std::string& bytes, std::size_t at, std::int32_t value) {
  bytes.replace(4 * at, 4, reinterpret_cast<const char*>(&value), 4);
}

TEST(Quantized, RefusesInWordsWhatDoesNotFit) {
  const auto gptq = [] { return MakeGptq({4, 32, true, false}); };
  const auto nested = [] { return MakeFourBit(false, true); };
  const struct {
    std::function<Made()> make;
    std::function<void(Checkpoint&)> tell;
    const char* message;
  } cases[] = {
      {gptq, [](auto& c) { c.Drop("scales"); }, "'m.scales' is missing"},
      {gptq, [](auto& c) { c.Say("bits", 5); }, "config.json says 5 bits"},
      {gptq, [](auto& c) { c.Say("bits", 3); }, "no whole number of values of 3 bits"},
      {gptq, [](auto& c) { c.Say("bits", 2); }, "must have [8, 4]"},
      {gptq, [](auto& c) { Set32(c.Bytes("g_idx"), 3, 8); }, "g_idx names group 8, there are 8"},
      {gptq, [](auto& c) { Set32(c.Bytes("g_idx"), 3, -1); }, "g_idx names group -1"},
      {gptq, [](auto& c) { c.Bytes("g_idx").assign(4 * kInputs, '\1'); }, "g_idx names group"},
      {gptq,
       [](auto& c) {
         c.Reshape("qzeros", {4, 16});
       },
       "must have [8, 8]"},
      {gptq,
       [](auto& c) {
         c.Reshape("qweight", {64, 32});
       },
       "qweight has the shape [64, 32]"},
      {gptq, [](auto& c) { c.Say("checkpoint_format", "marlin"); }, "'marlin' cannot be read"},
      {[] {
         return MakeGptq({4, 32, false, false});
       },
       [](auto& c) {
         c.Drop("g_idx");
         c.Say("group_size", 64);
       },
       "256 inputs in groups of 64 are not the 8 groups"},
      {MakeAwq, [](auto& c) { c.Say("version", "gemv"); }, "'gemv' cannot be read"},
      {[] { return MakePacked(4, false); }, [](auto& c) { Set32(c.Bytes("weight_shape"), 2, 64); },
       "only 4 and 8 bits"},
      {[] { return MakePacked(4, false); }, [](auto& c) { Set32(c.Bytes("weight_shape"), 3, -1); },
       "weight_shape says"},
      {nested, [](auto& c) { c.Drop("weight.nested_quant_map"); }, "is missing"},
      {nested, [](auto& c) { c.Bytes("weight.quant_state.bitsandbytes__nf4")[0] = '['; }, "JSON"},
      {nested, [](auto& c) { c.Drop("weight.quant_state.bitsandbytes__nf4"); }, "no quant_state"},
      {nested, [](auto& c) { Set32(c.Bytes("weight.quant_map"), 3, 0); }, "only the codebooks"},
      {nested, [](auto& c) { c.Bytes("weight").pop_back(); }, "must have 8192 bytes"},
      {[] { return MakeBytes("I8", "SCB", {kOutputs}); },
       [](auto& c) { c.Add("weight_format", "U8", {}, std::string("\1")); }, "weight_format"},
      {[] { return MakeBytes("I8", "weight_scale", {kOutputs}); },
       [](auto& c) {
         c.Reshape("weight_scale", {8, 8});
       },
       "have the shape [8, 8]"},
      {MakeMlc,
       [](auto& c) {
         c.Reshape("q_scale", {kInputs / 32, kOutputs});
       },
       "must have [64, 8]"},
      {MakeMlc,
       [](auto& c) {
         c.Reshape("q_weight", {kInputs, kOutputs / 8});
       },
       "must have [256, 2]"},
      {MakeExl2, [](auto& c) { Set32(c.Bytes("q_invperm"), 0, 300); }, "no permutation"},
      {MakeExl2, [](auto& c) { c.Bytes("q_invperm").assign(4 * kInputs, '\0'); }, "no permutation"},
      {MakeExl2, [](auto& c) { c.Bytes("q_groups")[0] = 9; }, "group 0 has 9 bits"},
      {MakeExl2, [](auto& c) { c.Bytes("q_groups")[7] = 127; }, "has the rows"},
      {MakeExl2, [](auto& c) { c.Bytes("q_groups")[6] = 9; }, "group"},
      {MakeExl2,
       [](auto& c) {
         c.Reshape("q_scale", {5, 16});
       },
       "do not fit each other"},
  };
  for (const auto& c : cases) {
    Made made = c.make();
    c.tell(made.checkpoint);
    const auto matrix = made.checkpoint.Open();
    ASSERT_FALSE(matrix.ok()) << c.message;
    EXPECT_THAT(matrix.status().message(), HasSubstr(c.message));
    EXPECT_THAT(matrix.status().message(), HasSubstr("'m"));
  }
}

TEST(Quantized, SaysWhatTheDescriptionSays) {
  files::Metadata metadata;
  EXPECT_EQ(Describe(metadata), "");
  metadata["quantization_config.quant_method"] = files::MetaValue{std::string("gptq")};
  metadata["quantization_config.bits"] = files::MetaValue{std::int64_t{4}};
  metadata["quantization_config.group_size"] = files::MetaValue{std::int64_t{128}};
  metadata["quantization_config.desc_act"] = files::MetaValue{true};
  EXPECT_EQ(Describe(metadata), "gptq, 4 bits, groups of 128, act order");
}

}  // namespace
}  // namespace bramble::model::quantized
