#include "kernels/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/a8.h"
#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::AlignedBytes;
using testing::Bits;
using testing::RandomFloats;

// A matrix and input rows, and what one kernel makes of them.
struct Problem {
  MatmulShape shape{};
  Encoding encoding{};
  InputForm form{};
  std::vector<std::byte> weights;
  std::vector<float> x;  // [rows, inputs]
  std::vector<float> bias;
  std::size_t rows = 0;
  AlignedBytes input{0};
  std::size_t input_stride = 0;
};

std::size_t LeastInputs(Encoding encoding) {
  return std::max(FindEncoding(encoding)->block_values, 32U);
}

Problem RandomProblem(testing::Random& random, Encoding encoding, InputForm form,
                      std::size_t outputs, std::size_t inputs, std::size_t rows) {
  const EncodingInfo& info = *FindEncoding(encoding);
  Problem p;
  p.encoding = encoding;
  p.form = form;
  p.rows = rows;
  p.shape.outputs = static_cast<std::uint32_t>(outputs);
  p.shape.inputs = static_cast<std::uint32_t>(inputs);
  DefaultSegments(&p.shape, info.block_values);
  p.weights = testing::RandomBlocks(random, encoding, outputs * inputs / info.block_values);
  p.x = RandomFloats(random, rows * inputs, 0.7F);
  if (rows > 0) std::fill_n(p.x.begin(), std::min<std::size_t>(32, inputs), 0.0F);
  p.bias = RandomFloats(random, outputs);
  const bool a8 = form == InputForm::kA8;
  // A stride of its own: rows need not touch.
  p.input_stride = a8 ? A8RowBytes(inputs) + 16 : inputs * sizeof(float) + 4;
  p.input = AlignedBytes(rows * p.input_stride);
  for (std::size_t r = 0; r < rows; ++r) {
    std::byte* row = p.input.data() + r * p.input_stride;
    if (a8) {
      EXPECT_TRUE(QuantizeA8Rows().back().run(p.x.data() + r * inputs, inputs, row));
    } else {
      std::memcpy(row, p.x.data() + r * inputs, inputs * sizeof(float));
    }
  }
  return p;
}

AlignedBytes Pack(const MatmulKernel& kernel, const Problem& p) {
  AlignedBytes packed(kernel.packed_bytes(p.shape));
  kernel.pack(p.shape, p.weights.data(), packed.data(), 0, Panels(p.shape));
  return packed;
}

constexpr float kUntouched = 12345.0F;

std::vector<float> Multiply(const MatmulKernel& kernel, const Problem& p,
                            const AlignedBytes& packed, bool with_bias, std::size_t first,
                            std::size_t last) {
  const std::size_t stride = p.shape.outputs + 3;
  std::vector<float> output(p.rows * stride + 1, kUntouched);
  MatmulArgs args{};
  args.shape = &p.shape;
  args.packed = packed.data();
  args.input = p.input.data();
  args.input_stride = p.input_stride;
  args.rows = p.rows;
  args.bias = with_bias ? p.bias.data() : nullptr;
  args.output = output.data() + 1;  // not aligned
  args.output_stride = stride;
  args.first_output = first;
  args.last_output = last;
  kernel.run(args);
  return output;
}

const MatmulKernel& Portable(const MatmulKernel& kernel) {
  return *FindMatmul(kernel.encoding, kernel.form, kNothing);
}

// Decoded weights times what the kernel sees of the inputs, in double.
double Truth(const Problem& p, std::size_t row, std::size_t output, double* magnitude) {
  const EncodingInfo& info = *FindEncoding(p.encoding);
  const std::size_t blocks = p.shape.inputs / info.block_values;
  std::vector<float> w(p.shape.inputs);
  info.decode(p.weights.data() + output * blocks * info.block_bytes, blocks, w.data());
  const std::byte* input = p.input.data() + row * p.input_stride;
  double sum = 0;
  *magnitude = 0;
  for (std::size_t i = 0; i < p.shape.inputs; ++i) {
    double x = static_cast<double>(p.x[row * p.shape.inputs + i]);
    if (p.form == InputForm::kA8) {
      A8Group group;
      std::memcpy(&group, input + i / 32 * sizeof(A8Group), sizeof(group));
      x = static_cast<double>(group.scale) * group.q[i % 32];
    }
    sum += static_cast<double>(w[i]) * x;
    *magnitude += std::fabs(static_cast<double>(w[i]) * x);
  }
  return sum;
}

TEST(Matmul, EveryEncodingHasAPortableKernelForEachInputItTakes) {
  for (const EncodingInfo& info : Encodings()) {
    const MatmulKernel* f32 = FindMatmul(info.encoding, InputForm::kF32, kNothing);
    const MatmulKernel* a8 = FindMatmul(info.encoding, InputForm::kA8, kNothing);
    ASSERT_NE(f32, nullptr) << info.name;
    EXPECT_EQ(a8 != nullptr, info.takes_a8) << info.name;
    EXPECT_EQ(std::string(f32->name), std::string("matmul/") + info.name + "/f32/portable");
    if (a8 != nullptr) {
      EXPECT_EQ(std::string(a8->name), std::string("matmul/") + info.name + "/a8/portable");
    }
  }
}

TEST(Matmul, EveryFamilyOfCpusHasFastRowsForWhatModelsAreIn) {
  if (!Has(ThisCpu(), kAvx2) && !Has(ThisCpu(), kNeon)) GTEST_SKIP() << "an unknown CPU";
  for (const EncodingInfo& info : Encodings()) {
    EXPECT_NE(FindMatmul(info.encoding, InputForm::kF32, ThisCpu())->needs, kNothing) << info.name;
  }
  for (const Encoding encoding :
       {Encoding::kQ4_0, Encoding::kQ4_1, Encoding::kQ5_0, Encoding::kQ5_1, Encoding::kQ8_0,
        Encoding::kQ2_K, Encoding::kQ3_K, Encoding::kQ4_K, Encoding::kQ5_K, Encoding::kQ6_K,
        Encoding::kInt2, Encoding::kInt3, Encoding::kInt4, Encoding::kInt5, Encoding::kInt6,
        Encoding::kInt8, Encoding::kInt4x128, Encoding::kNf4, Encoding::kFp4}) {
    EXPECT_NE(FindMatmul(encoding, InputForm::kA8, ThisCpu())->needs, kNothing)
        << FindEncoding(encoding)->name;
  }
}

// In whole numbers of 14 bits, for 8-bit inputs.
bool RoundsItsCodebook(const MatmulKernel& kernel) {
  return kernel.form == InputForm::kA8 && kernel.encoding == Encoding::kNf4;
}

TEST(Matmul, PortableKernelsAreCloseToDouble) {
  testing::Random random(21);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (kernel.needs != kNothing) continue;
    const std::size_t least = LeastInputs(kernel.encoding);
    const Problem p = RandomProblem(random, kernel.encoding, kernel.form, 5, 4 * least, 2);
    const AlignedBytes packed = Pack(kernel, p);
    const auto y = Multiply(kernel, p, packed, true, 0, 5);
    for (std::size_t r = 0; r < p.rows; ++r) {
      for (std::size_t o = 0; o < 5; ++o) {
        double magnitude = 0;
        const double expected = Truth(p, r, o, &magnitude) + static_cast<double>(p.bias[o]);
        const double bound = RoundsItsCodebook(kernel) ? 4e-4 : 2e-6;
        ASSERT_NEAR(y[1 + r * 8 + o], expected, bound * (magnitude + 1)) << kernel.name;
      }
    }
  }
}

TEST(Matmul, EveryKernelUnpacksWhatItPacked) {
  testing::Random random(22);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    const EncodingInfo& info = *FindEncoding(kernel.encoding);
    const std::size_t inputs = 3 * LeastInputs(kernel.encoding);
    const Problem p = RandomProblem(random, kernel.encoding, kernel.form, 37, inputs, 0);
    const AlignedBytes packed = Pack(kernel, p);
    for (std::size_t row = 0; row < 37; ++row) {
      std::vector<float> expected(inputs);
      std::vector<float> actual(inputs);
      const std::size_t blocks = inputs / info.block_values;
      info.decode(p.weights.data() + row * blocks * info.block_bytes, blocks, expected.data());
      kernel.unpack_row(p.shape, packed.data(), row, actual.data());
      ASSERT_EQ(Bits(actual), Bits(expected)) << kernel.name << " row " << row;
    }
  }
}

TEST(Matmul, PanelsMayBePackedOneByOne) {
  testing::Random random(23);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    const Problem p =
        RandomProblem(random, kernel.encoding, kernel.form, 50, LeastInputs(kernel.encoding), 0);
    const AlignedBytes whole = Pack(kernel, p);
    const std::size_t size = kernel.packed_bytes(p.shape);
    ASSERT_EQ(size % Panels(p.shape), 0U) << kernel.name;
    AlignedBytes parts(size);
    for (const std::size_t panel : {2U, 0U, 3U, 1U}) {
      kernel.pack(p.shape, p.weights.data(), parts.data(), panel, panel + 1);
    }
    EXPECT_EQ(std::memcmp(whole.data(), parts.data(), size), 0) << kernel.name;
  }
}

struct Size {
  std::size_t outputs;
  std::size_t blocks;  // of max(32, block_values) inputs
  std::size_t rows;
};

// Fewer outputs than a panel, tails, one segment to more than eight, 1 to 17 input rows.
constexpr Size kSizes[] = {{1, 1, 1},   {16, 1, 2},   {17, 2, 3},   {15, 3, 4},  {33, 5, 5},
                           {48, 7, 6},  {31, 8, 7},   {64, 9, 8},   {40, 11, 9}, {16, 16, 10},
                           {80, 3, 11}, {20, 13, 12}, {16, 10, 13}, {50, 2, 14}, {18, 4, 15},
                           {34, 6, 16}, {96, 9, 17}};

TEST(Matmul, EveryKernelGivesThePortableBits) {
  testing::Random random(24);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (!Has(ThisCpu(), kernel.needs)) {
      std::printf("skipped: this CPU cannot run %s\n", kernel.name);
      continue;
    }
    const MatmulKernel& portable = Portable(kernel);
    if (&portable == &kernel) continue;
    for (const Size& size : kSizes) {
      const std::size_t inputs = size.blocks * LeastInputs(kernel.encoding);
      const Problem p =
          RandomProblem(random, kernel.encoding, kernel.form, size.outputs, inputs, size.rows);
      const bool with_bias = size.rows % 2 == 0;
      const auto expected = Multiply(portable, p, Pack(portable, p), with_bias, 0, size.outputs);
      const auto actual = Multiply(kernel, p, Pack(kernel, p), with_bias, 0, size.outputs);
      ASSERT_EQ(Bits(actual), Bits(expected))
          << kernel.name << " " << size.outputs << "x" << inputs << " rows " << size.rows;
    }
  }
}

// A matrix of which every byte but the float scales is `byte`, and inputs of the largest magnitude.
Problem ExtremeProblem(testing::Random& random, const MatmulKernel& kernel, std::byte byte) {
  Problem p =
      RandomProblem(random, kernel.encoding, kernel.form, 32, LeastInputs(kernel.encoding), 5);
  testing::FillBlocks(random, kernel.encoding, byte, p.weights);
  for (std::size_t r = 0; r < p.rows; ++r) {
    // All positive, all negative, and both in turn, so that sums grow as far as they can.
    for (std::size_t i = 0; i < p.shape.inputs; ++i) {
      const bool negative = r == 1 || (r == 2 && i % 2 != 0) || (r == 3 && i / 4 % 2 != 0);
      p.x[r * p.shape.inputs + i] = negative ? -1.0F : 1.0F;
    }
    std::byte* row = p.input.data() + r * p.input_stride;
    EXPECT_TRUE(QuantizeA8Rows().back().run(p.x.data() + r * p.shape.inputs, p.shape.inputs, row));
  }
  return p;
}

TEST(Matmul, IntegerSumsHaveRoomForTheLargestWeightsAndInputs) {
  testing::Random random(29);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (kernel.form != InputForm::kA8 || !Has(ThisCpu(), kernel.needs)) continue;
    for (const std::byte byte : {std::byte{0xff}, std::byte{0x80}, std::byte{0x7f}, std::byte{0}}) {
      const Problem p = ExtremeProblem(random, kernel, byte);
      const MatmulKernel& portable = Portable(kernel);
      ASSERT_EQ(Bits(Multiply(kernel, p, Pack(kernel, p), false, 0, 32)),
                Bits(Multiply(portable, p, Pack(portable, p), false, 0, 32)))
          << kernel.name << " " << std::to_integer<int>(byte);
    }
  }
}

TEST(Matmul, FloatEncodingsMayHaveInputsThatAreNoMultipleOf32) {
  testing::Random random(25);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (FindEncoding(kernel.encoding)->block_values != 1 || !Has(ThisCpu(), kernel.needs)) continue;
    for (const std::size_t inputs : {1U, 7U, 31U, 33U, 100U, 257U, 301U}) {
      const Problem p = RandomProblem(random, kernel.encoding, kernel.form, 19, inputs, 3);
      const MatmulKernel& portable = Portable(kernel);
      const auto expected = Multiply(portable, p, Pack(portable, p), true, 0, 19);
      ASSERT_EQ(Bits(Multiply(kernel, p, Pack(kernel, p), true, 0, 19)), Bits(expected))
          << kernel.name << " " << inputs;
      double magnitude = 0;
      const double truth = Truth(p, 2, 18, &magnitude) + static_cast<double>(p.bias[18]);
      ASSERT_NEAR(expected[1 + 2 * 22 + 18], truth, 1e-5 * (magnitude + 1));
    }
  }
}

TEST(Matmul, EveryKernelWritesOnlyTheOutputsAskedFor) {
  testing::Random random(26);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (!Has(ThisCpu(), kernel.needs)) continue;
    const std::size_t outputs = 75;
    const Problem p = RandomProblem(random, kernel.encoding, kernel.form, outputs,
                                    2 * LeastInputs(kernel.encoding), 5);
    const AlignedBytes packed = Pack(kernel, p);
    const auto whole = Multiply(kernel, p, packed, true, 0, outputs);
    constexpr std::size_t kBorders[] = {0, 16, 64, outputs};
    for (std::size_t i = 0; i + 1 < std::size(kBorders); ++i) {
      const auto part = Multiply(kernel, p, packed, true, kBorders[i], kBorders[i + 1]);
      for (std::size_t at = 0; at < part.size(); ++at) {
        const std::size_t output = (at + outputs + 3 - 1) % (outputs + 3);
        const bool asked = at > 0 && output >= kBorders[i] && output < kBorders[i + 1];
        ASSERT_EQ(part[at], asked ? whole[at] : kUntouched) << kernel.name << " " << at;
      }
    }
  }
}

TEST(Matmul, ARowIsTheSameAloneAndAmongOthers) {
  testing::Random random(27);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (!Has(ThisCpu(), kernel.needs)) continue;
    Problem p = RandomProblem(random, kernel.encoding, kernel.form, 32,
                              9 * LeastInputs(kernel.encoding), 13);
    const AlignedBytes packed = Pack(kernel, p);
    const auto together = Multiply(kernel, p, packed, false, 0, 32);
    for (std::size_t r = 0; r < 13; ++r) {
      Problem alone = p;
      alone.rows = 1;
      alone.input = AlignedBytes(p.input_stride);
      std::memcpy(alone.input.data(), p.input.data() + r * p.input_stride, p.input_stride);
      const auto single = Multiply(kernel, alone, packed, false, 0, 32);
      for (std::size_t o = 0; o < 32; ++o)
        ASSERT_EQ(single[1 + o], together[1 + r * 35 + o]) << kernel.name;
    }
  }
}

TEST(Matmul, SegmentsMeetInTheTree) {
  // Segment sums 2^24, 1, 1, -2^24 and so on: only the tree's order gives this result.
  const float sums[] = {16777216.0F, 1.0F, 1.0F, -16777216.0F, 3.0F};
  for (const InputForm form : {InputForm::kF32}) {
    Problem p;
    p.encoding = Encoding::kF32;
    p.form = form;
    p.rows = 1;
    p.shape = {1, 160, 5, {32, 64, 96, 128, 160}};
    p.x.assign(160, 0.0F);
    for (std::size_t s = 0; s < 5; ++s) p.x[32 * s + s] = sums[s];
    std::vector<float> ones(160, 1.0F);
    p.weights.resize(640);
    std::memcpy(p.weights.data(), ones.data(), 640);
    p.input_stride = 640;
    p.input = AlignedBytes(640);
    std::memcpy(p.input.data(), p.x.data(), 640);
    const float expected = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + sums[4];
    for (const MatmulKernel& kernel : MatmulKernels()) {
      if (kernel.encoding != Encoding::kF32 || !Has(ThisCpu(), kernel.needs)) continue;
      EXPECT_EQ(Multiply(kernel, p, Pack(kernel, p), false, 0, 1)[1], expected) << kernel.name;
    }
  }
}

TEST(Matmul, OwnSegmentsAreHonoured) {
  testing::Random random(28);
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (!Has(ThisCpu(), kernel.needs)) continue;
    const auto least = static_cast<std::uint32_t>(LeastInputs(kernel.encoding));
    Problem p = RandomProblem(random, kernel.encoding, kernel.form, 20, 6 * std::size_t{least}, 3);
    p.shape.segments = 3;
    p.shape.segment_ends[0] = least;
    p.shape.segment_ends[1] = 5 * least;
    p.shape.segment_ends[2] = 6 * least;
    const MatmulKernel& portable = Portable(kernel);
    ASSERT_EQ(Bits(Multiply(kernel, p, Pack(kernel, p), true, 0, 20)),
              Bits(Multiply(portable, p, Pack(portable, p), true, 0, 20)))
        << kernel.name;
  }
}

TEST(Matmul, DefaultSegmentsFollowTheRule) {
  MatmulShape shape{1, 22 * 256, 0, {}};
  DefaultSegments(&shape, 256);
  ASSERT_EQ(shape.segments, 8U);
  const std::uint32_t blocks[] = {2, 5, 8, 11, 13, 16, 19, 22};
  for (std::size_t s = 0; s < 8; ++s) EXPECT_EQ(shape.segment_ends[s], blocks[s] * 256);
  shape = {1, 96, 0, {}};
  DefaultSegments(&shape, 32);
  EXPECT_EQ(shape.segments, 3U);
  shape = {1, 7, 0, {}};
  DefaultSegments(&shape, 1);
  EXPECT_EQ(shape.segments, 1U);
  EXPECT_EQ(shape.segment_ends[0], 7U);
}

}  // namespace
}  // namespace bramble::kernels
