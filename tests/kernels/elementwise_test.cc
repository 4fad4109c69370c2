// Operations on one row: every variant against the portable one, and that against double.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/a8.h"
#include "kernels/activation.h"
#include "kernels/arithmetic.h"
#include "kernels/convert.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::Bits;
using testing::RandomFloats;
using testing::WildFloats;

// Calls check(row, portable row) for every row of the table that this CPU can run.
template <typename Function, typename Check>
void ForEachRow(Rows<Function> rows, const Check& check) {
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows.back().needs, kNothing);
  for (const Row<Function>& row : rows) {
    SCOPED_TRACE(row.name);
    if (!Has(ThisCpu(), row.needs)) {
      std::printf("skipped: this CPU cannot run %s\n", row.name);
      continue;
    }
    check(row, rows.back());
  }
}

TEST(QuantizeA8, FollowsTheDefinition) {
  testing::Random random(11);
  for (int round = 0; round < 200; ++round) {
    std::vector<float> x = RandomFloats(random, 32, std::ldexp(1.0F, round % 60 - 30));
    A8Group group;
    ASSERT_TRUE(QuantizeA8Rows().back().run(x.data(), 32, reinterpret_cast<std::byte*>(&group)));
    float amax = 0;
    for (const float v : x) amax = std::max(amax, std::fabs(v));
    EXPECT_EQ(group.scale, amax / 127.0F);
    int sums[2] = {0, 0};
    for (std::size_t i = 0; i < 32; ++i) {
      EXPECT_EQ(group.q[i], std::rint(x[i] * (127.0F / amax)));
      sums[i / 16] += group.q[i];
    }
    EXPECT_EQ(group.half_sums[0], sums[0]);
    EXPECT_EQ(group.half_sums[1], sums[1]);
    EXPECT_EQ(group.sum, sums[0] + sums[1]);
    EXPECT_EQ(group.scaled_sum, group.scale * static_cast<float>(group.sum));
  }
}

TEST(QuantizeA8, EveryRowGivesThePortableBits) {
  testing::Random random(12);
  ForEachRow(QuantizeA8Rows(), [&](const auto& row, const auto& portable) {
    for (const std::size_t groups : {1U, 2U, 3U, 8U, 31U}) {
      for (int kind = 0; kind < 8; ++kind) {
        const std::size_t n = groups * 32;
        std::vector<float> padded =
            kind == 0 ? WildFloats(random, n + 1)
                      : RandomFloats(random, n + 1, std::ldexp(1.0F, 20 - 20 * kind));
        for (std::size_t i = 1; i <= n; ++i) {
          if (kind == 2 && i > 32) padded[i] = 0;
          if (kind == 3) padded[i] = std::ldexp(std::rint(padded[i] * 4), -2);  // ties
        }
        const float* x = padded.data() + 1;
        std::vector<A8Group> expected(groups);
        std::vector<A8Group> actual(groups);
        ASSERT_TRUE(portable.run(x, n, reinterpret_cast<std::byte*>(expected.data())));
        ASSERT_TRUE(row.run(x, n, reinterpret_cast<std::byte*>(actual.data())));
        ASSERT_EQ(std::memcmp(expected.data(), actual.data(), groups * sizeof(A8Group)), 0) << kind;
      }
    }
  });
}

TEST(QuantizeA8, EveryRowRefusesWhatIsNotFinite) {
  ForEachRow(QuantizeA8Rows(), [&](const auto& row, const auto&) {
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      for (const std::size_t at : {0U, 13U, 31U, 40U, 95U}) {
        std::vector<float> x(96, 1.0F);
        std::vector<A8Group> out(3);
        x[at] = bad;
        EXPECT_FALSE(row.run(x.data(), x.size(), reinterpret_cast<std::byte*>(out.data())));
        x[at] = 3.0e38F;
        EXPECT_TRUE(row.run(x.data(), x.size(), reinterpret_cast<std::byte*>(out.data())));
      }
    }
  });
}

struct NormTable {
  const char* name;
  Rows<NormFn> rows;
  double (*truth)(const std::vector<float>& x, std::size_t i, double epsilon);
};

double Mean(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += static_cast<double>(v);
  return sum / static_cast<double>(x.size());
}
double MeanSquare(const std::vector<float>& x, double centre) {
  double sum = 0;
  for (const float v : x) sum += std::pow(static_cast<double>(v) - centre, 2);
  return sum / static_cast<double>(x.size());
}
double TrueRms(const std::vector<float>& x, std::size_t i, double epsilon) {
  return static_cast<double>(x[i]) / std::sqrt(MeanSquare(x, 0) + epsilon);
}
double TrueLayer(const std::vector<float>& x, std::size_t i, double epsilon) {
  return (static_cast<double>(x[i]) - Mean(x)) / std::sqrt(MeanSquare(x, Mean(x)) + epsilon);
}
double TrueL2(const std::vector<float>& x, std::size_t i, double epsilon) {
  const double length = std::sqrt(MeanSquare(x, 0) * static_cast<double>(x.size()));
  return static_cast<double>(x[i]) / std::max(length, epsilon);
}

std::vector<NormTable> NormTables() {
  return {{"rms", RmsNormRows(), TrueRms},
          {"layer", LayerNormRows(), TrueLayer},
          {"l2", L2NormRows(), TrueL2}};
}

TEST(Norms, AreCloseToDouble) {
  testing::Random random(13);
  for (const NormTable& table : NormTables()) {
    for (const std::size_t n : testing::kLengths) {
      const std::vector<float> x = RandomFloats(random, n);
      const std::vector<float> gain = RandomFloats(random, n);
      const std::vector<float> bias = RandomFloats(random, n);
      std::vector<float> y(n);
      table.rows.back().run(x.data(), gain.data(), bias.data(), 1e-3F, n, y.data());
      for (std::size_t i = 0; i < n; ++i) {
        const double expected =
            table.truth(x, i, 1e-3) * static_cast<double>(gain[i]) + static_cast<double>(bias[i]);
        ASSERT_NEAR(y[i], expected, 2e-5) << table.name << " " << n;
      }
    }
  }
}

TEST(Norms, SumInSixteenLanes) {
  // Lane 0 holds 2^24 and then 1, which it loses; lane 8 keeps its 1; the fold adds 2^24 + 1, and
  // loses that too, but in another order nothing would be lost.
  std::vector<float> x(32, 0.0F);
  x[0] = 4096.0F;
  x[16] = 1.0F;
  std::vector<float> y(32);
  RmsNormRows().back().run(x.data(), nullptr, nullptr, 0.0F, 32, y.data());
  EXPECT_EQ(y[16], 1.0F * (1.0F / std::sqrt(16777216.0F / 32.0F)));
}

TEST(Norms, EveryRowGivesThePortableBits) {
  testing::Random random(14);
  for (const NormTable& table : NormTables()) {
    ForEachRow(table.rows, [&](const auto& row, const auto& portable) {
      for (const std::size_t n : testing::kLengths) {
        for (const std::size_t shift : {0U, 1U, 3U}) {
          const auto x = RandomFloats(random, n + shift, n % 3 == 0 ? 1e-20F : 1.0F);
          const auto gain = RandomFloats(random, n + shift);
          const auto bias = RandomFloats(random, n + shift);
          for (int parts = 0; parts < 4; ++parts) {
            const float* g = (parts & 1) != 0 ? gain.data() + shift : nullptr;
            const float* b = (parts & 2) != 0 ? bias.data() + shift : nullptr;
            std::vector<float> expected(n);
            std::vector<float> actual(n + shift + 1, 77.0F);
            portable.run(x.data() + shift, g, b, 1e-5F, n, expected.data());
            row.run(x.data() + shift, g, b, 1e-5F, n, actual.data() + shift);
            EXPECT_EQ(actual[n + shift], 77.0F);
            ASSERT_EQ(Bits({actual.data() + shift, n}), Bits(expected)) << n;
            auto in_place = x;
            row.run(in_place.data() + shift, g, b, 1e-5F, n, in_place.data() + shift);
            ASSERT_EQ(Bits({in_place.data() + shift, n}), Bits(expected)) << n;
          }
        }
      }
    });
  }
}

TEST(Activations, EveryRowGivesThePortableBits) {
  testing::Random random(15);
  for (const Function function : kFunctions) {
    ForEachRow(ActivationRows(function), [&](const auto& row, const auto& portable) {
      for (const std::size_t n : testing::kLengths) {
        for (const bool wild : {false, true}) {
          auto x = wild ? WildFloats(random, n + 1) : RandomFloats(random, n + 1, 8.0F);
          std::vector<float> expected(n);
          std::vector<float> actual(n + 1, 77.0F);
          portable.run(x.data() + 1, n, expected.data());
          row.run(x.data() + 1, n, actual.data());
          EXPECT_EQ(actual[n], 77.0F);
          ASSERT_EQ(Bits({actual.data(), n}), Bits(expected)) << static_cast<int>(function);
          row.run(x.data() + 1, n, x.data() + 1);
          ASSERT_EQ(Bits({x.data() + 1, n}), Bits(expected));
        }
      }
    });
  }
}

TEST(Activations, EveryRowAgreesNearTheBorders) {
  const float borders[] = {0.0F,      -0.0F,      0.625F,     -0.625F, 88.72284F, -88.72284F,
                           87.33654F, -87.33654F, 14.0F,      -14.0F,  10.0F,     -10.0F,
                           6.0F,      0x1p-149F,  -0x1p-149F, 13.2F,   -13.2F};
  for (const Function function : kFunctions) {
    ForEachRow(ActivationRows(function), [&](const auto& row, const auto& portable) {
      for (const float border : borders) {
        std::vector<float> x;
        for (int step = -40; step <= 40; ++step) {
          float v = border;
          for (int i = 0; i < std::abs(step); ++i)
            v = std::nextafter(v, step < 0 ? -INFINITY : INFINITY);
          x.push_back(v);
        }
        std::vector<float> expected(x.size());
        std::vector<float> actual(x.size());
        portable.run(x.data(), x.size(), expected.data());
        row.run(x.data(), x.size(), actual.data());
        ASSERT_EQ(Bits(actual), Bits(expected)) << static_cast<int>(function) << " " << border;
      }
    });
  }
}

TEST(Activations, AreUnknownForUnknownNumbers) {
  EXPECT_TRUE(ActivationRows(static_cast<Function>(0)).empty());
  EXPECT_TRUE(GateRows(static_cast<Function>(99)).empty());
}

TEST(Activations, HaveTheirSimpleValues) {
  const float x[] = {-2.0F, 0.5F, 7.0F};
  const auto run = [&](Function function) {
    std::vector<float> y(3);
    ActivationRows(function).back().run(x, 3, y.data());
    return y;
  };
  EXPECT_EQ(run(Function::kRelu), (std::vector<float>{0, 0.5F, 7}));
  EXPECT_EQ(run(Function::kReluSquared), (std::vector<float>{0, 0.25F, 49}));
  EXPECT_EQ(run(Function::kRelu6), (std::vector<float>{0, 0.5F, 6}));
  EXPECT_NEAR(run(Function::kGeluTanh)[1], 0.345714, 1e-6);
  EXPECT_NEAR(run(Function::kGeluErf)[1], 0.345731, 1e-6);
  EXPECT_NEAR(run(Function::kGeluQuick)[1], 0.350388, 1e-6);
  EXPECT_NEAR(run(Function::kSilu)[1], 0.311230, 1e-6);
  EXPECT_NEAR(run(Function::kTanh)[1], 0.462117, 1e-6);
  EXPECT_NEAR(run(Function::kSigmoid)[1], 0.622459, 1e-6);
  EXPECT_NEAR(run(Function::kSoftplus)[1], 0.974077, 1e-6);
}

TEST(Gates, EveryRowGivesThePortableBits) {
  testing::Random random(16);
  for (const Function function : kFunctions) {
    ForEachRow(GateRows(function), [&](const auto& row, const auto& portable) {
      for (const std::size_t n : testing::kLengths) {
        for (const float limit : {0.0F, 7.0F}) {
          for (const float offset : {0.0F, 1.0F}) {
            const auto a = RandomFloats(random, n + 1, 6.0F);
            auto b = RandomFloats(random, n, 6.0F);
            std::vector<float> expected(n);
            std::vector<float> actual(n + 1, 77.0F);
            portable.run(a.data() + 1, b.data(), limit, offset, n, expected.data());
            row.run(a.data() + 1, b.data(), limit, offset, n, actual.data());
            EXPECT_EQ(actual[n], 77.0F);
            ASSERT_EQ(Bits({actual.data(), n}), Bits(expected));
            row.run(a.data() + 1, b.data(), limit, offset, n, b.data());
            ASSERT_EQ(Bits(b), Bits(expected));
          }
        }
      }
    });
  }
}

TEST(Gates, ClampFirstAndAddTheOffsetLast) {
  const float a[] = {9.0F, -9.0F, 1.0F};
  const float b[] = {-20.0F, 2.0F, 20.0F};
  std::vector<float> y(3);
  GateRows(Function::kRelu).back().run(a, b, 7.0F, 1.0F, 3, y.data());
  EXPECT_EQ(y, (std::vector<float>{7.0F * -6.0F, 0.0F, 8.0F}));
}

TEST(Arithmetic, EveryRowGivesThePortableBits) {
  testing::Random random(17);
  for (const Rows<BinaryFn> rows : {AddRows(), MultiplyRows()}) {
    ForEachRow(rows, [&](const auto& row, const auto& portable) {
      for (const std::size_t n : testing::kLengths) {
        const auto a = RandomFloats(random, n);
        const auto b = RandomFloats(random, n);
        std::vector<float> expected(n);
        std::vector<float> actual(n);
        portable.run(a.data(), b.data(), n, expected.data());
        row.run(a.data(), b.data(), n, actual.data());
        ASSERT_EQ(Bits(actual), Bits(expected));
      }
    });
  }
  for (const Rows<ScalarFn> rows : {ScaleRows(), SoftCapRows(), ClampRows(), AddScaledRows()}) {
    ForEachRow(rows, [&](const auto& row, const auto& portable) {
      for (const std::size_t n : testing::kLengths) {
        const auto a = RandomFloats(random, n, 20.0F);
        std::vector<float> expected = RandomFloats(random, n, 20.0F);
        std::vector<float> actual = expected;
        portable.run(a.data(), 30.0F, n, expected.data());
        row.run(a.data(), 30.0F, n, actual.data());
        ASSERT_EQ(Bits(actual), Bits(expected));
      }
    });
  }
}

TEST(Arithmetic, DoesWhatItsNamesSay) {
  const float a[] = {-50.0F, 2.0F};
  const float b[] = {1.0F, 3.0F};
  std::vector<float> y(2);
  AddRows().back().run(a, b, 2, y.data());
  EXPECT_EQ(y, (std::vector<float>{-49, 5}));
  MultiplyRows().back().run(a, b, 2, y.data());
  EXPECT_EQ(y, (std::vector<float>{-50, 6}));
  ScaleRows().back().run(a, 0.5F, 2, y.data());
  EXPECT_EQ(y, (std::vector<float>{-25, 1}));
  AddScaledRows().back().run(a, 0.5F, 2, y.data());
  EXPECT_EQ(y, (std::vector<float>{-50, 2}));
  ClampRows().back().run(a, 30.0F, 2, y.data());
  EXPECT_EQ(y, (std::vector<float>{-30, 2}));
  SoftCapRows().back().run(a, 30.0F, 2, y.data());
  EXPECT_NEAR(y[0], 30.0 * std::tanh(-50.0 / 30.0), 1e-5);
  EXPECT_NEAR(y[1], 30.0 * std::tanh(2.0 / 30.0), 1e-6);
}

TEST(Rope, AnglesAreThoseOfDouble) {
  const float frequencies[] = {1.0F, 0.1F, 1e-4F};
  float cosines[3];
  float sines[3];
  for (const std::uint32_t position : {0U, 1U, 1000U, 131071U}) {
    RopeAngles(position, frequencies, 3, 1.0F, cosines, sines);
    for (std::size_t i = 0; i < 3; ++i) {
      const double angle = static_cast<double>(position) * static_cast<double>(frequencies[i]);
      EXPECT_EQ(cosines[i], static_cast<float>(std::cos(angle)));
      EXPECT_EQ(sines[i], static_cast<float>(std::sin(angle)));
    }
    float scaled[3];
    RopeAngles(position, frequencies, 3, 1.25F, scaled, sines);
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(scaled[i], cosines[i] * 1.25F);
  }
}

TEST(Rope, TurnsPairsAndCopiesTheRest) {
  const float x[] = {1, 2, 3, 4, 5, 6};
  const float cosines[] = {0, 1};
  const float sines[] = {1, 0};
  std::vector<float> y(6);
  RopeHalfRows().back().run(x, cosines, sines, 2, 1, 6, y.data());
  EXPECT_EQ(y, (std::vector<float>{-3, 2, 1, 4, 5, 6}));
  RopePairRows().back().run(x, cosines, sines, 2, 1, 6, y.data());
  EXPECT_EQ(y, (std::vector<float>{-2, 1, 3, 4, 5, 6}));
}

TEST(Rope, EveryRowGivesThePortableBits) {
  testing::Random random(18);
  for (const Rows<RopeFn> rows : {RopeHalfRows(), RopePairRows()}) {
    ForEachRow(rows, [&](const auto& row, const auto& portable) {
      for (const std::size_t pairs : {1U, 3U, 4U, 8U, 11U, 16U, 32U, 64U}) {
        for (const std::size_t rest : {0U, 5U}) {
          const std::size_t head_dim = 2 * pairs + rest;
          auto x = RandomFloats(random, 3 * head_dim + 1);
          const auto c = RandomFloats(random, pairs);
          const auto s = RandomFloats(random, pairs);
          std::vector<float> expected(3 * head_dim);
          std::vector<float> actual(3 * head_dim);
          portable.run(x.data() + 1, c.data(), s.data(), pairs, 3, head_dim, expected.data());
          row.run(x.data() + 1, c.data(), s.data(), pairs, 3, head_dim, actual.data());
          ASSERT_EQ(Bits(actual), Bits(expected));
          row.run(x.data() + 1, c.data(), s.data(), pairs, 3, head_dim, x.data() + 1);
          ASSERT_EQ(Bits({x.data() + 1, 3 * head_dim}), Bits(expected));
        }
      }
    });
  }
}

TEST(Convert, EveryHalfSurvivesTheWayThereAndBack) {
  for (std::uint32_t half = 0; half < 0x10000; ++half) {
    const float wide = HalfToFloat(static_cast<std::uint16_t>(half));
    if (std::isnan(wide)) continue;
    ASSERT_EQ(FloatToHalf(wide), half);
  }
  EXPECT_EQ(HalfToFloat(0x0001), 0x1p-24F);
  EXPECT_EQ(HalfToFloat(0xfc00), -INFINITY);
  EXPECT_TRUE(std::isnan(HalfToFloat(0x7e01)));
}

TEST(Convert, RoundsToTheNearestHalfAndTiesToEven) {
  for (std::uint32_t half = 0; half < 0x7bff; ++half) {
    const float low = HalfToFloat(static_cast<std::uint16_t>(half));
    const float high = HalfToFloat(static_cast<std::uint16_t>(half + 1));
    const float middle = low + (high - low) / 2;
    ASSERT_EQ(FloatToHalf(middle), half + half % 2);
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, low)), half);
    ASSERT_EQ(FloatToHalf(std::nextafter(middle, high)), half + 1);
    ASSERT_EQ(FloatToHalf(-middle), 0x8000 | (half + half % 2));
  }
  EXPECT_EQ(FloatToHalf(65519.0F), 0x7bff);
  EXPECT_EQ(FloatToHalf(65520.0F), 0x7c00);
  EXPECT_EQ(FloatToHalf(-INFINITY), 0xfc00);
  EXPECT_EQ(FloatToHalf(0x1p-26F), 0);
}

TEST(Convert, EveryRowGivesThePortableHalves) {
  testing::Random random(19);
  ForEachRow(FloatsToHalvesRows(), [&](const auto& row, const auto& portable) {
    for (const std::size_t n : testing::kLengths) {
      const auto x = n % 2 == 0 ? WildFloats(random, n + 1) : RandomFloats(random, n + 1, 1e-5F);
      std::vector<std::uint16_t> expected(n);
      std::vector<std::uint16_t> actual(n);
      portable.run(x.data() + 1, n, expected.data());
      row.run(x.data() + 1, n, actual.data());
      ASSERT_EQ(actual, expected);
    }
  });
}

TEST(Convert, FindsWhatIsNotFinite) {
  std::vector<float> x(37, 1e38F);
  EXPECT_TRUE(AllFinite(x.data(), x.size()));
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    x[36] = bad;
    EXPECT_FALSE(AllFinite(x.data(), x.size()));
    EXPECT_TRUE(AllFinite(x.data(), 36));
  }
}

}  // namespace
}  // namespace bramble::kernels
