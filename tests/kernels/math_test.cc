#include "kernels/math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::UlpsFrom;

std::uint32_t BitsOf(float x) { return std::bit_cast<std::uint32_t>(x); }

// std::fma of the C library is correctly rounded.
TEST(Fma, EqualsTheLibraryOnAllMagnitudes) {
  testing::Random random(1);
  for (int round = 0; round < 300; ++round) {
    const auto a = testing::WildFloats(random, 1000);
    const auto b = testing::WildFloats(random, 1000);
    auto c = testing::WildFloats(random, 1000);
    for (std::size_t i = 0; i < a.size(); ++i) {
      // Half of the addends are near the product: cancellation and ties.
      if (i % 2 == 0) c[i] = -(a[i] * b[i]) * (1.0F + 0x1p-23F * static_cast<float>(i % 5));
      if (!std::isfinite(c[i])) c[i] = 1;
      ASSERT_EQ(BitsOf(Fma(a[i], b[i], c[i])), BitsOf(std::fma(a[i], b[i], c[i])))
          << a[i] << " * " << b[i] << " + " << c[i];
    }
  }
}

TEST(Fma, RoundsTiesOfDoubleLikeTheExactSum) {
  // 1 + 2^-24 is a tie between floats; 2^-80 decides it, far below the last bit of a double.
  const float tie = 0x1p-24F;
  EXPECT_EQ(Fma(0x1p-40F, 0x1p-40F, 1.0F), 1.0F);
  EXPECT_EQ(Fma(1.0F + tie * 2, 1.0F, tie), std::fma(1.0F + tie * 2, 1.0F, tie));
  EXPECT_EQ(BitsOf(Fma(0x1.000002p+0F, 0x1.000002p+0F, -0x1p-70F)),
            BitsOf(std::fma(0x1.000002p+0F, 0x1.000002p+0F, -0x1p-70F)));
  EXPECT_EQ(BitsOf(Fma(0x1.fffffep-1F, 0x1p-149F, -0x1p-149F)), BitsOf(-0.0F));
}

TEST(Fma, KeepsTheSignOfZero) {
  EXPECT_EQ(BitsOf(Fma(-0.0F, 1.0F, -0.0F)), BitsOf(-0.0F));
  EXPECT_EQ(BitsOf(Fma(-0.0F, 1.0F, 0.0F)), BitsOf(0.0F));
  EXPECT_EQ(BitsOf(Fma(1.0F, 1.0F, -1.0F)), BitsOf(0.0F));
}

TEST(Fma, PassesInfinitiesOn) {
  const float values[] = {INFINITY,        -INFINITY,        1.0F, -1.0F,
                          0x1.fffffep127F, -0x1.fffffep127F, 0.0F};
  for (const float a : values) {
    for (const float b : values) {
      for (const float c : values) {
        const float expected = std::fma(a, b, c);
        if (std::isnan(expected)) {
          EXPECT_TRUE(std::isnan(Fma(a, b, c)));
        } else {
          EXPECT_EQ(BitsOf(Fma(a, b, c)), BitsOf(expected)) << a << " " << b << " " << c;
        }
      }
    }
  }
}

struct Claim {
  const char* name;
  float (*function)(float);
  double (*truth)(double);
  float from;
  float to;
  double ulps;
};

double TrueSigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double TrueCdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double TrueGelu(double x) { return x * TrueCdf(x); }
double TrueSilu(double x) { return x * TrueSigmoid(x); }
double TrueExp(double x) { return std::exp(x); }
double TrueTanh(double x) { return std::tanh(x); }
double TrueSoftplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
float FloatExp(float x) { return Exp(x); }

constexpr Claim kClaims[] = {
    {"exp", FloatExp, TrueExp, -87.0F, 88.7F, 1.05},
    {"tanh", Tanh, TrueTanh, -10.0F, 10.0F, 1.9},
    {"sigmoid", Sigmoid, TrueSigmoid, -80.0F, 30.0F, 3.0},
    {"silu", Silu, TrueSilu, -80.0F, 30.0F, 3.5},
    {"normal cdf", NormalCdf, TrueCdf, -12.0F, 6.0F, 5.0},
    {"gelu centre", GeluErf, TrueGelu, -1.0F, 10.0F, 3.0},
    {"gelu", GeluErf, TrueGelu, -12.0F, 10.0F, 5.5},
    {"softplus", Softplus, TrueSoftplus, -80.0F, 80.0F, 3.0},
};

TEST(Math, StaysWithinTheStatedErrors) {
  for (const Claim& claim : kClaims) {
    double worst = 0;
    float worst_at = 0;
    constexpr int kSteps = 400000;
    for (int i = 0; i <= kSteps; ++i) {
      const float x = claim.from + (claim.to - claim.from) * (static_cast<float>(i) / kSteps);
      const double ulps = UlpsFrom(claim.function(x), claim.truth(static_cast<double>(x)));
      if (ulps > worst) {
        worst = ulps;
        worst_at = x;
      }
    }
    EXPECT_LE(worst, claim.ulps) << claim.name << " at " << worst_at;
    RecordProperty(claim.name, std::to_string(worst));
    std::printf("%-12s worst error %.3f ulp at %g\n", claim.name, worst,
                static_cast<double>(worst_at));
  }
}

TEST(Math, KeepsSmallArguments) {
  testing::Random random(2);
  for (int i = 0; i < 100000; ++i) {
    const float x =
        std::ldexp(static_cast<float>(random() % 0xffffff), -24 - static_cast<int>(random() % 100));
    ASSERT_LE(UlpsFrom(Tanh(x), std::tanh(static_cast<double>(x))), 1.5) << x;
    ASSERT_LE(UlpsFrom(GeluErf(x), TrueGelu(static_cast<double>(x))), 2.0) << x;
  }
}

TEST(Math, HasTheLimitsOfTheSpecification) {
  EXPECT_EQ(Exp(88.73F), INFINITY);
  EXPECT_EQ(Exp(88.72284F), INFINITY);
  EXPECT_LT(Exp(88.7228F), INFINITY);
  EXPECT_EQ(Exp(-87.34F), 0.0F);
  EXPECT_GT(Exp(-87.33654F), 0.0F);
  EXPECT_EQ(Exp(0.0F), 1.0F);
  EXPECT_EQ(Tanh(20.0F), 1.0F);
  EXPECT_EQ(Tanh(-20.0F), -1.0F);
  EXPECT_EQ(BitsOf(Tanh(-0.0F)), BitsOf(-0.0F));
  EXPECT_EQ(BitsOf(Silu(-100.0F)), BitsOf(0.0F));
  EXPECT_EQ(Sigmoid(-100.0F), 0.0F);
  EXPECT_EQ(Sigmoid(100.0F), 1.0F);
  EXPECT_EQ(GeluErf(20.0F), 20.0F);
  EXPECT_EQ(GeluErf(-20.0F), 0.0F);
  EXPECT_EQ(Softplus(100.0F), 100.0F);
}

TEST(Math, ExpAndLogOfDoublesAreAccurate) {
  testing::Random random(3);
  std::uniform_real_distribution<double> exponents(-700, 700);
  for (int i = 0; i < 100000; ++i) {
    const double x = exponents(random);
    ASSERT_NEAR(Exp(x) / std::exp(x), 1.0, 4e-16) << x;
    const double y = std::exp(exponents(random));
    ASSERT_NEAR(Log(y), std::log(y), 4e-16 * std::max(1.0, std::fabs(std::log(y)))) << y;
  }
  EXPECT_EQ(Exp(-709.0), 0.0);
  EXPECT_EQ(Exp(0.0), 1.0);
  EXPECT_EQ(Log(1.0), 0.0);
}

TEST(Math, SineAndCosineOfDoublesAreAccurate) {
  testing::Random random(4);
  std::uniform_real_distribution<double> angles(-1, 1);
  for (int i = 0; i < 100000; ++i) {
    const double a = std::ldexp(angles(random), static_cast<int>(random() % 32));
    double sine = 0;
    double cosine = 0;
    SinCos(a, &sine, &cosine);
    ASSERT_NEAR(sine, std::sin(a), 4e-16) << a;
    ASSERT_NEAR(cosine, std::cos(a), 4e-16) << a;
  }
}

}  // namespace
}  // namespace bramble::kernels
