#include "kernels/cpu.h"

#include <cfenv>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace bramble::kernels {
namespace {

#if defined(__x86_64__)
// Not __builtin_cpu_supports("f16c"): clang 14 does not know the name.
bool HasF16c() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  constexpr unsigned kF16c = 1U << 29U;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & kF16c) != 0;
}
#endif

Features AskCpu() {
  Features features = kNothing;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && HasF16c()) {
    features |= kAvx2;
    if (__builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
        __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512vnni") != 0) {
      features |= kAvx512Vnni;
    }
  }
#elif defined(__aarch64__)
  // Bits of the kernel's interface (its Documentation/arch/arm64/elf_hwcaps.rst), by number: older
  // headers lack the names.
  constexpr unsigned long kAsimd = 1UL << 1U;
  constexpr unsigned long kAsimdDp = 1UL << 20U;
  constexpr unsigned long kSecondI8mm = 1UL << 13U;
  const unsigned long first = getauxval(AT_HWCAP);
  const unsigned long second = getauxval(AT_HWCAP2);
  if ((first & kAsimd) != 0) features |= kNeon;
  if (Has(features, kNeon) && (first & kAsimdDp) != 0) features |= kDotprod;
  if (Has(features, kDotprod) && (second & kSecondI8mm) != 0) features |= kI8mm;
#endif
  return features;
}

struct Isa {
  const char* name;
  Features features;
};

constexpr Isa kIsas[] = {
    {"portable", kNothing},          {"avx2", kAvx2},
    {"avx512", kAvx2 | kAvx512Vnni}, {"neon", kNeon},
    {"dotprod", kNeon | kDotprod},   {"i8mm", kNeon | kDotprod | kI8mm},
};

}  // namespace

Features ThisCpu() {
  static const Features features = AskCpu();
  return features;
}

IsaChoice ChooseIsa(std::string_view name, Features* features) {
  if (name.empty() || name == "auto") {
    *features = ThisCpu();
    return IsaChoice::kOk;
  }
  for (const Isa& isa : kIsas) {
    if (name != isa.name) continue;
    if (!Has(ThisCpu(), isa.features)) return IsaChoice::kNotSupported;
    *features = isa.features;
    return IsaChoice::kOk;
  }
  return IsaChoice::kUnknownName;
}

const char* IsaNames() { return "auto, portable, avx2, avx512, neon, dotprod, i8mm"; }

bool FloatEnvironmentIsStandard() {
  // Asked by computing, since the control register has another name on every CPU. `volatile`: at
  // run time.
  volatile float smallest_normal = 0x1p-126F;
  volatile float subnormal = 0x1p-140F;
  volatile float half = smallest_normal * 0.5F;
  volatile float twice = subnormal * 2.0F;
  volatile float one = 1.0F;
  volatile float below = one - 0x1p-30F;
  volatile float above = one + 0x1p-30F;
  return half != 0.0F && twice == 0x1p-139F && below == 1.0F && above == 1.0F;
}

void SetStandardFloatEnvironment() { std::fesetenv(FE_DFL_ENV); }

}  // namespace bramble::kernels
