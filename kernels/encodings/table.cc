#include <array>

#include "kernels/encodings/bits.h"
#include "kernels/encodings/encoding.h"
#include "kernels/encodings/float_types.h"
#include "kernels/encodings/group.h"
#include "kernels/encodings/int_types.h"
#include "kernels/encodings/iq_types.h"
#include "kernels/encodings/k_types.h"
#include "kernels/encodings/legacy.h"
#include "kernels/encodings/small_types.h"

namespace bramble::kernels {
namespace {

void DecodeF32(const std::byte* blocks, std::size_t count, float* out) {
  std::memcpy(out, blocks, count * sizeof(float));
}

void DecodeF16(const std::byte* blocks, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = HalfAt(blocks + 2 * i);
}

void DecodeBf16(const std::byte* blocks, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = WidenBf16(Load16(blocks + 2 * i));
}

void DecodeNf4(const std::byte* blocks, std::size_t count, float* out) {
  DecodeCodebook(nf4_values, blocks, count, out);
}

void DecodeFp4(const std::byte* blocks, std::size_t count, float* out) {
  DecodeCodebook(fp4_values, blocks, count, out);
}

template <typename Format>
constexpr EncodingInfo Info(Encoding encoding, const char* name) {
  return {encoding, true, Format::kBlockValues, Format::kBlockBytes, name, DecodeBlocks<Format>};
}

// By rising number.
constexpr EncodingInfo kEncodings[] = {
    {Encoding::kF32, false, 1, 4, "f32", DecodeF32},
    {Encoding::kF16, false, 1, 2, "f16", DecodeF16},
    {Encoding::kBf16, false, 1, 2, "bf16", DecodeBf16},
    Info<FormatQ40>(Encoding::kQ4_0, "q4_0"),
    Info<FormatQ41>(Encoding::kQ4_1, "q4_1"),
    Info<FormatQ50>(Encoding::kQ5_0, "q5_0"),
    Info<FormatQ51>(Encoding::kQ5_1, "q5_1"),
    Info<FormatQ80>(Encoding::kQ8_0, "q8_0"),
    Info<FormatQ2K>(Encoding::kQ2_K, "q2_k"),
    Info<FormatQ3K>(Encoding::kQ3_K, "q3_k"),
    Info<FormatQ4K>(Encoding::kQ4_K, "q4_k"),
    Info<FormatQ5K>(Encoding::kQ5_K, "q5_k"),
    Info<FormatQ6K>(Encoding::kQ6_K, "q6_k"),
    Info<FormatIq4Nl>(Encoding::kIq4Nl, "iq4_nl"),
    Info<FormatIq4Xs>(Encoding::kIq4Xs, "iq4_xs"),
    Info<FormatIq2Xxs>(Encoding::kIq2Xxs, "iq2_xxs"),
    Info<FormatIq2Xs>(Encoding::kIq2Xs, "iq2_xs"),
    Info<FormatIq2S>(Encoding::kIq2S, "iq2_s"),
    Info<FormatIq3Xxs>(Encoding::kIq3Xxs, "iq3_xxs"),
    Info<FormatIq3S>(Encoding::kIq3S, "iq3_s"),
    Info<FormatIq1S>(Encoding::kIq1S, "iq1_s"),
    Info<FormatIq1M>(Encoding::kIq1M, "iq1_m"),
    Info<FormatTq10>(Encoding::kTq1_0, "tq1_0"),
    Info<FormatTq20>(Encoding::kTq2_0, "tq2_0"),
    Info<FormatMxfp4>(Encoding::kMxfp4, "mxfp4"),
    Info<FormatNvfp4>(Encoding::kNvfp4, "nvfp4"),
    Info<FormatInt<2, 32>>(Encoding::kInt2, "int2"),
    Info<FormatInt<3, 32>>(Encoding::kInt3, "int3"),
    Info<FormatInt<4, 32>>(Encoding::kInt4, "int4"),
    Info<FormatInt<5, 32>>(Encoding::kInt5, "int5"),
    Info<FormatInt<6, 32>>(Encoding::kInt6, "int6"),
    Info<FormatInt<8, 32>>(Encoding::kInt8, "int8"),
    Info<FormatInt<4, 128>>(Encoding::kInt4x128, "int4_128"),
    {Encoding::kNf4, true, kCodebookBlockValues, kCodebookBlockBytes, "nf4", DecodeNf4},
    {Encoding::kFp4, true, kCodebookBlockValues, kCodebookBlockBytes, "fp4", DecodeFp4},
    {Encoding::kF8E4M3, false, kF8BlockValues, kF8BlockBytes, "f8_e4m3", DecodeF8},
};

constexpr std::size_t kNumbers = 256;

// [number] 0, or 1 + the place of its row.
constexpr std::array<std::uint8_t, kNumbers> kPlaces = [] {
  std::array<std::uint8_t, kNumbers> places{};
  for (std::size_t i = 0; i < std::size(kEncodings); ++i) {
    places[static_cast<std::size_t>(kEncodings[i].encoding)] = static_cast<std::uint8_t>(i + 1);
  }
  return places;
}();

}  // namespace

const EncodingInfo* FindEncoding(Encoding encoding) {
  const std::size_t place = kPlaces[static_cast<std::size_t>(encoding)];
  return place == 0 ? nullptr : &kEncodings[place - 1];
}

std::span<const EncodingInfo> Encodings() { return kEncodings; }

}  // namespace bramble::kernels
