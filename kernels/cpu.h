// What this CPU can do.
#pragma once

#include <cstdint>
#include <string_view>

namespace bramble::kernels {

// A set of Feature bits.
using Features = std::uint32_t;

enum Feature : Features {
  kNothing = 0,
  kAvx2 = 1U << 0U,        // AVX2, FMA and F16C, and an operating system that saves the registers
  kAvx512Vnni = 1U << 1U,  // besides: AVX-512 F, BW, VL and VNNI
  kNeon = 1U << 2U,        // 64-bit ARM with vector registers: all that we know
  kDotprod = 1U << 3U,     // besides: SDOT
  kI8mm = 1U << 4U,        // besides: SMMLA
};

inline bool Has(Features available, Features needs) { return (available & needs) == needs; }

// Asked once, then remembered. Any thread.
Features ThisCpu();

enum class IsaChoice : std::uint8_t {
  kOk,
  kUnknownName,   // not one of IsaNames()
  kNotSupported,  // this CPU lacks it
};

// The features that kernels may use when the instruction set `name` is asked for:
// "" or "auto" (all of this CPU's), "portable" (none), "avx2", "avx512", "neon", "dotprod", "i8mm".
// Writes `features` only if the answer is kOk.
IsaChoice ChooseIsa(std::string_view name, Features* features);

// "auto, portable, avx2, ...", those of other CPUs too: for messages.
const char* IsaNames();

// True if the calling thread rounds to nearest and keeps subnormal numbers, as every result here
// assumes.
bool FloatEnvironmentIsStandard();

// Makes it so for the calling thread. Each thread that computes calls this once, before anything
// else.
void SetStandardFloatEnvironment();

}  // namespace bramble::kernels
