#include "kernels/cpu.h"

#include <gtest/gtest.h>

#include <thread>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace bramble::kernels {
namespace {

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
#endif
}

}  // namespace
}  // namespace bramble::kernels
