// Products of codebooks of 16 with 8-bit inputs. An entry is a whole number of 15 bits, kept as two
// bytes that a shuffle looks up: 128 * high + low, where the products of a pair of either with
// inputs stay below 2^15.
#include "kernels/encodings/float_codebooks.h"
#include "kernels/panels/layouts.h"
#include "kernels/x86/kernels.h"
#include "kernels/x86/matmul_tile_avx2.h"

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

inline __m256i LoadTwice(const std::uint8_t* table) {
  return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(table)));
}

// Four inputs, every second of eight, in each element: `first` is 0 or 1.
inline __m256i EverySecond(const std::int8_t* q, char first) {
  long long eight = 0;
  __builtin_memcpy(&eight, q, sizeof(eight));
  const int places = 0x06040200 + 0x01010101 * first;
  return _mm256_shuffle_epi8(_mm256_set1_epi64x(eight), _mm256_set1_epi32(places));
}

template <const Planes& kPlanes, std::int32_t kOne>
struct CodebookA8 {
  static constexpr std::size_t kValues = 64;
  static constexpr std::size_t kBytes = panels::CodebookPanel::kUnit;
  static constexpr std::size_t kGroups = 2;
  static constexpr std::size_t kInputBytes = kGroups * sizeof(A8Group);

  // The products of four inputs of each row with the entries of `codes`, one nibble a byte.
  template <std::size_t kRows>
  static void AddProducts(__m256i codes, std::size_t half, const __m256i (&inputs)[kRows],
                          Sums32<kRows>* integers) {
    const __m256i high = _mm256_shuffle_epi8(LoadTwice(kPlanes.high), codes);
    const __m256i low = _mm256_shuffle_epi8(LoadTwice(kPlanes.low), codes);
    for (std::size_t r = 0; r < kRows; ++r) {
      const __m256i upper =
          _mm256_madd_epi16(_mm256_maddubs_epi16(high, inputs[r]), _mm256_set1_epi16(128));
      const __m256i lower = WidenPairs(_mm256_maddubs_epi16(low, inputs[r]));
      integers->at[r][half] =
          _mm256_add_epi32(integers->at[r][half], _mm256_add_epi32(upper, lower));
    }
  }

  template <std::size_t kRows>
  static void Add(const std::byte* unit, const std::byte* const* inputs, Sums<kRows>* sums) {
    for (std::size_t group = 0; group < kGroups; ++group) {
      Sums32<kRows> integers;
      integers.Clear();
      for (std::size_t line = 0; line < 4; ++line) {
        const std::byte* bytes = unit + panels::CodebookPanel::kLines + 64 * (4 * group + line);
        __m256i even[kRows];
        __m256i odd[kRows];
        for (std::size_t r = 0; r < kRows; ++r) {
          const std::int8_t* q = Groups(inputs[r])[group].q + 8 * line;
          even[r] = EverySecond(q, 0);
          odd[r] = EverySecond(q, 1);
        }
        for (std::size_t half = 0; half < 2; ++half) {
          const __m256i codes = Load(bytes + 32 * half);
          AddProducts<kRows>(LowNibbles(codes), half, even, &integers);
          AddProducts<kRows>(HighNibbles(codes), half, odd, &integers);
        }
      }
      for (std::size_t half = 0; half < 2; ++half) {
        const __m256 scale =
            _mm256_mul_ps(_mm256_loadu_ps(reinterpret_cast<const float*>(unit + 32 * half)),
                          _mm256_set1_ps(1.0F / kOne));
        for (std::size_t r = 0; r < kRows; ++r) {
          const A8Group& input = Groups(inputs[r])[group];
          const __m256i integer =
              _mm256_sub_epi32(integers.at[r][half], _mm256_set1_epi32(64 * 128 * input.sum));
          const __m256 factor = _mm256_mul_ps(scale, _mm256_set1_ps(input.scale));
          sums->at[r][half] =
              _mm256_fmadd_ps(factor, _mm256_cvtepi32_ps(integer), sums->at[r][half]);
        }
      }
    }
  }
};

}  // namespace

void MatmulNf4A8Avx2(const MatmulArgs& args) { RunPanels<CodebookA8<kNf4Planes, kNf4One>>(args); }
void MatmulFp4A8Avx2(const MatmulArgs& args) { RunPanels<CodebookA8<kFp4Planes, kFp4One>>(args); }

}  // namespace bramble::kernels::x86
