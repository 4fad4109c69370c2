// Products of codebooks of 16 with 8-bit inputs, with AVX-512 and VNNI. An entry is a whole number
// of 15 bits, kept as two bytes that a shuffle looks up: 128 * (high - 128) + low, both unsigned.
#include "kernels/encodings/float_codebooks.h"
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx512.h"

namespace bramble::kernels::x86 {
namespace {

struct Planes {
  alignas(16) std::uint8_t high[16];
  alignas(16) std::uint8_t low[16];
};

constexpr Planes PlanesOf(const std::int16_t (&wholes)[16]) {
  Planes planes{};
  for (std::size_t i = 0; i < 16; ++i) {
    planes.high[i] = static_cast<std::uint8_t>((wholes[i] >> 7) + 64);
    planes.low[i] = static_cast<std::uint8_t>(wholes[i] & 127);
  }
  return planes;
}

constexpr Planes kNf4Planes = PlanesOf(kNf4Wholes);
constexpr Planes kFp4Planes = PlanesOf(kFp4Wholes);

inline __m512i LoadFourTimes(const std::uint8_t* table) {
  return _mm512_broadcast_i32x4(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
}

// Four inputs, every second of eight, in each element: `first` is 0 or 1.
inline __m512i EverySecond(const std::int8_t* q, int first) {
  long long eight = 0;
  __builtin_memcpy(&eight, q, sizeof(eight));
  return _mm512_shuffle_epi8(_mm512_set1_epi64(eight),
                             _mm512_set1_epi32(0x06040200 + 0x01010101 * first));
}

template <const Planes& kPlanes, std::int32_t kOne>
struct CodebookA8 {
  static constexpr std::size_t kValues = 64;
  static constexpr std::size_t kBytes = panels::CodebookPanel::kUnit;
  static constexpr std::size_t kGroups = 2;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    const __m512i high = LoadFourTimes(kPlanes.high);
    const __m512i low = LoadFourTimes(kPlanes.low);
    const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(unit + panels::CodebookPanel::kScales),
                                       _mm512_set1_ps(1.0F / kOne));
    for (std::size_t group = 0; group < kGroups; ++group) {
      Integers<kRows> upper;
      Integers<kRows> lower;
      upper.Clear();
      lower.Clear();
      for (std::size_t line = 0; line < 4; ++line) {
        const __m512i codes = Load(unit + panels::CodebookPanel::kLines + 64 * (4 * group + line));
        for (int parity = 0; parity < 2; ++parity) {
          const __m512i nibbles =
              parity == 0 ? MoveBits<0, 0, 15>(codes) : MoveBits<4, 0, 15>(codes);
          const __m512i h = _mm512_shuffle_epi8(high, nibbles);
          const __m512i l = _mm512_shuffle_epi8(low, nibbles);
          for (std::size_t r = 0; r < kRows; ++r) {
            const A8Group& input = (&GroupAt(inputs[r]))[group];
            const __m512i x = EverySecond(input.q + 8 * line, parity);
            upper.at[r] = _mm512_dpbusd_epi32(upper.at[r], h, x);
            lower.at[r] = _mm512_dpbusd_epi32(lower.at[r], l, x);
          }
        }
      }
      const std::byte* group_inputs[kRows];
      for (std::size_t r = 0; r < kRows; ++r) {
        group_inputs[r] = inputs[r] + group * sizeof(A8Group);
        const __m512i shift = _mm512_set1_epi32(64 * GroupAt(group_inputs[r]).sum);
        const __m512i signed_upper = _mm512_sub_epi32(upper.at[r], shift);
        upper.at[r] = _mm512_add_epi32(_mm512_slli_epi32(signed_upper, 7), lower.at[r]);
      }
      AddScaled<kRows>(scale, group_inputs, upper, sums);
    }
  }
};

}  // namespace

void MatmulNf4A8Avx512(const MatmulArgs& args) { RunPanels<CodebookA8<kNf4Planes, kNf4One>>(args); }
void MatmulFp4A8Avx512(const MatmulArgs& args) { RunPanels<CodebookA8<kFp4Planes, kFp4One>>(args); }

}  // namespace bramble::kernels::x86
