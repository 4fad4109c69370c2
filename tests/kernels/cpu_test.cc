#include "kernels/cpu.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bramble::kernels {
namespace {

#if defined(__aarch64__)
// The register that says how floats are rounded.
std::uint64_t ReadControl() {
  std::uint64_t value = 0;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void WriteControl(std::uint64_t value) { asm volatile("msr fpcr, %0" : : "r"(value)); }
#endif

TEST(Cpu, OffersWhatItHas) {
  Features features = kAvx2;
  EXPECT_EQ(ChooseIsa("portable", &features), IsaChoice::kOk);
  EXPECT_EQ(features, kNothing);
  for (const char* name : {"", "auto"}) {
    EXPECT_EQ(ChooseIsa(name, &features), IsaChoice::kOk);
    EXPECT_EQ(features, ThisCpu());
  }
}

TEST(Cpu, RefusesWhatItLacksOrDoesNotKnow) {
  Features features = kNothing;
  EXPECT_EQ(ChooseIsa("avx3", &features), IsaChoice::kUnknownName);
  EXPECT_EQ(ChooseIsa("avx2", &features),
            Has(ThisCpu(), kAvx2) ? IsaChoice::kOk : IsaChoice::kNotSupported);
  EXPECT_EQ(ChooseIsa("avx512", &features),
            Has(ThisCpu(), kAvx512Vnni) ? IsaChoice::kOk : IsaChoice::kNotSupported);
  EXPECT_EQ(ChooseIsa("neon", &features),
            Has(ThisCpu(), kNeon) ? IsaChoice::kOk : IsaChoice::kNotSupported);
  EXPECT_EQ(ChooseIsa("dotprod", &features),
            Has(ThisCpu(), kDotprod) ? IsaChoice::kOk : IsaChoice::kNotSupported);
  EXPECT_EQ(ChooseIsa("i8mm", &features),
            Has(ThisCpu(), kI8mm) ? IsaChoice::kOk : IsaChoice::kNotSupported);
}

TEST(Cpu, IsOfOneFamilyAndHasWhatItsFeaturesStandOn) {
  const Features x86 = ThisCpu() & (kAvx2 | kAvx512Vnni);
  const Features arm = ThisCpu() & (kNeon | kDotprod | kI8mm);
  EXPECT_TRUE(x86 == kNothing || arm == kNothing);
  EXPECT_TRUE(!Has(x86, kAvx512Vnni) || Has(x86, kAvx2));
  EXPECT_TRUE(!Has(arm, kDotprod) || Has(arm, kNeon));
  EXPECT_TRUE(!Has(arm, kI8mm) || Has(arm, kDotprod));
}

TEST(Cpu, SetsTheFloatEnvironmentOfAThread) {
  EXPECT_TRUE(FloatEnvironmentIsStandard());
#if defined(__x86_64__)
  std::thread([] {
    _mm_setcsr(_mm_getcsr() | 0x8040U);  // flush to zero, denormals are zero
    EXPECT_FALSE(FloatEnvironmentIsStandard());
    SetStandardFloatEnvironment();
    EXPECT_TRUE(FloatEnvironmentIsStandard());
    _mm_setcsr(_mm_getcsr() | 0x2000U);  // round down
    EXPECT_FALSE(FloatEnvironmentIsStandard());
    SetStandardFloatEnvironment();
    EXPECT_TRUE(FloatEnvironmentIsStandard());
  }).join();
#elif defined(__aarch64__)
  std::thread([] {
    const std::uint64_t control = ReadControl();
    WriteControl(control | 1U << 24U);  // flush to zero
    EXPECT_FALSE(FloatEnvironmentIsStandard());
    SetStandardFloatEnvironment();
    EXPECT_TRUE(FloatEnvironmentIsStandard());
    WriteControl(control | 2U << 22U);  // round down
    EXPECT_FALSE(FloatEnvironmentIsStandard());
    SetStandardFloatEnvironment();
    EXPECT_TRUE(FloatEnvironmentIsStandard());
  }).join();
#endif
}

}  // namespace
}  // namespace bramble::kernels
