#include "kernels/math.h"

namespace bramble::kernels {
namespace {

// To the nearest whole number, ties to even; |x| < 2^51.
double RoundToWhole(double x) {
  constexpr double kShift = 0x1.8p52;
  return (x + kShift) - kShift;
}

constexpr double kLog2High = 0x1.62e42fefa38p-1;  // 42 bits: a product with |n| < 2^11 is exact
constexpr double kLog2Low = 0x1.ef35793c7673p-45;

}  // namespace

double Exp(double x) {
  if (x < -708.0) return 0.0;
  if (x > 709.0) return HUGE_VAL;
  const double k = RoundToWhole(x * 0x1.71547652b82fep+0);
  const double r = (x - k * kLog2High) - k * kLog2Low;
  double p = 0x1.af8b0ea12fd17p-26;
  p = p * r + 0x1.28b055334196ep-22;
  p = p * r + 0x1.71dddc99d9992p-19;
  p = p * r + 0x1.a0199687b7131p-16;
  p = p * r + 0x1.a01a01bc2e55ep-13;
  p = p * r + 0x1.6c16c185ab415p-10;
  p = p * r + 0x1.111111110d2cap-7;
  p = p * r + 0x1.5555555550021p-5;
  p = p * r + 0x1.5555555555562p-3;
  p = p * r + 0x1.000000000000bp-1;
  const double result = 1.0 + (r + (r * r) * p);
  const auto n = static_cast<std::int64_t>(k);
  const auto bits = static_cast<std::uint64_t>(n + 1023) << 52U;
  // n = 1024 has no power of its own: half of it, twice.
  if (n > 1023) return result * 2.0 * 0x1p1023;
  return result * std::bit_cast<double>(bits);
}

double Log(double x) {
  // x = m * 2^k with m in [sqrt(1/2), sqrt(2)).
  constexpr std::uint64_t kSqrtHalf = 0x3fe6a09e667f3bcdU;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  const std::uint64_t shifted = bits - kSqrtHalf + 0x3ff0000000000000U;
  const auto k = static_cast<double>(static_cast<std::int64_t>(shifted >> 52U) - 1023);
  const auto m = std::bit_cast<double>((shifted & 0xfffffffffffffU) + kSqrtHalf);
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 0x1.2f0efe1e5ee3dp-3;
  p = p * z + 0x1.39a0d6eb0914bp-3;
  p = p * z + 0x1.746647146f449p-3;
  p = p * z + 0x1.c71c51e4e4b52p-3;
  p = p * z + 0x1.2492494219a75p-2;
  p = p * z + 0x1.999999997fb2fp-2;
  p = p * z + 0x1.5555555555593p-1;
  return k * kLog2High + ((s + s) + ((s * z) * p + k * kLog2Low));
}

void SinCos(double a, double* sine, double* cosine) {
  const double k = RoundToWhole(a * 0x1.45f306dc9c883p-1);
  double r = Fma(k, -0x1.921fb54442d18p+0, a);
  r = Fma(k, -0x1.1a62633145c07p-54, r);
  const double z = r * r;
  double p = Fma(0x1.5d9301523a4bbp-33, z, -0x1.ae5e663bf0fbfp-26);
  p = Fma(p, z, 0x1.71de3577b8c74p-19);
  p = Fma(p, z, -0x1.a01a019c119cap-13);
  p = Fma(p, z, 0x1.111111110f87ap-7);
  p = Fma(p, z, -0x1.5555555555549p-3);
  const double s = Fma(r * z, p, r);
  double q = Fma(-0x1.8fae9bea5625cp-37, z, 0x1.1ee9ebe86e706p-29);
  q = Fma(q, z, -0x1.27e4f809f01f7p-22);
  q = Fma(q, z, 0x1.a01a019cb1be1p-16);
  q = Fma(q, z, -0x1.6c16c16c1517ep-10);
  q = Fma(q, z, 0x1.555555555554cp-5);
  const double c = Fma(z * z, q, Fma(z, -0.5, 1.0));
  const auto quadrant = static_cast<std::uint64_t>(static_cast<std::int64_t>(k)) & 3U;
  const double turned_sine = (quadrant & 1U) != 0 ? c : s;
  const double turned_cosine = (quadrant & 1U) != 0 ? s : c;
  *sine = (quadrant & 2U) != 0 ? -turned_sine : turned_sine;
  *cosine = ((quadrant + 1U) & 2U) != 0 ? -turned_cosine : turned_cosine;
}

}  // namespace bramble::kernels
