#include "kernels/matmul.h"

#include "kernels/encodings/float_types.h"
#include "kernels/encodings/int_types.h"
#include "kernels/encodings/iq_types.h"
#include "kernels/encodings/k_types.h"
#include "kernels/encodings/legacy.h"
#include "kernels/encodings/small_types.h"
#include "kernels/panels/pack.h"
#include "kernels/portable/matmul_a8.h"
#include "kernels/portable/matmul_f32.h"
#include "kernels/portable/matmul_layout.h"
#if defined(__x86_64__)
#include "kernels/x86/kernels.h"
#elif defined(__aarch64__)
#include "kernels/arm/kernels.h"
#endif

namespace bramble::kernels {
namespace {

template <Encoding kEncoding, typename Format>
constexpr MatmulKernel PortableA8(const char* name) {
  return {name,
          kEncoding,
          InputForm::kA8,
          kNothing,
          portable::FileOrderBytes<kEncoding>,
          portable::PackFileOrder<kEncoding>,
          portable::UnpackFileOrder<kEncoding>,
          portable::RunA8<Format>};
}

template <Encoding kEncoding>
constexpr MatmulKernel PortableF32(const char* name) {
  return {name,
          kEncoding,
          InputForm::kF32,
          kNothing,
          portable::FileOrderBytes<kEncoding>,
          portable::PackFileOrder<kEncoding>,
          portable::UnpackFileOrder<kEncoding>,
          portable::RunF32<kEncoding>};
}

template <Encoding kEncoding>
constexpr MatmulKernel OnPanels(const char* name, InputForm form, void (*run)(const MatmulArgs&),
                                Features needs) {
  return {name,
          kEncoding,
          form,
          needs,
          panels::PackedBytesOf<kEncoding>,
          panels::PackOf<kEncoding>,
          panels::UnpackRowOf<kEncoding>,
          run};
}

// Decoded weights; `needs` is what kAddPiece needs.
#if defined(__x86_64__)
constexpr portable::AddPieceFn kAddPiece = x86::AddPieceAvx2;
#elif defined(__aarch64__)
constexpr portable::AddPieceFn kAddPiece = arm::AddPieceNeon;
#else
constexpr portable::AddPieceFn kAddPiece = portable::AddPiece;
#endif

template <Encoding kEncoding>
void RunDecodedFast(const MatmulArgs& args) {
  portable::RunDecoded(args, *FindEncoding(kEncoding), kAddPiece);
}

template <Encoding kEncoding>
constexpr MatmulKernel Decoded(const char* name, Features needs) {
  MatmulKernel kernel = PortableF32<kEncoding>(name);
  kernel.needs = needs;
  kernel.run = RunDecodedFast<kEncoding>;
  return kernel;
}

// Those of one encoding and form: best first, the last one needs nothing.
constexpr MatmulKernel kKernels[] = {
#if defined(__x86_64__)
    OnPanels<Encoding::kQ4_0>("matmul/q4_0/a8/avx512", InputForm::kA8, x86::MatmulQ40Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ4_1>("matmul/q4_1/a8/avx512", InputForm::kA8, x86::MatmulQ41Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ5_0>("matmul/q5_0/a8/avx512", InputForm::kA8, x86::MatmulQ50Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ5_1>("matmul/q5_1/a8/avx512", InputForm::kA8, x86::MatmulQ51Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ8_0>("matmul/q8_0/a8/avx512", InputForm::kA8, x86::MatmulQ80Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ2_K>("matmul/q2_k/a8/avx512", InputForm::kA8, x86::MatmulQ2KAvx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ3_K>("matmul/q3_k/a8/avx512", InputForm::kA8, x86::MatmulQ3KAvx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ4_K>("matmul/q4_k/a8/avx512", InputForm::kA8, x86::MatmulQ4KAvx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ5_K>("matmul/q5_k/a8/avx512", InputForm::kA8, x86::MatmulQ5KAvx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ6_K>("matmul/q6_k/a8/avx512", InputForm::kA8, x86::MatmulQ6KAvx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt2>("matmul/int2/a8/avx512", InputForm::kA8, x86::MatmulInt2Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt3>("matmul/int3/a8/avx512", InputForm::kA8, x86::MatmulInt3Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt4>("matmul/int4/a8/avx512", InputForm::kA8, x86::MatmulInt4Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt5>("matmul/int5/a8/avx512", InputForm::kA8, x86::MatmulInt5Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt6>("matmul/int6/a8/avx512", InputForm::kA8, x86::MatmulInt6Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt8>("matmul/int8/a8/avx512", InputForm::kA8, x86::MatmulInt8Avx512,
                              kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kInt4x128>("matmul/int4_128/a8/avx512", InputForm::kA8,
                                  x86::MatmulInt4x128Avx512, kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kNf4>("matmul/nf4/a8/avx512", InputForm::kA8, x86::MatmulNf4A8Avx512,
                             kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kFp4>("matmul/fp4/a8/avx512", InputForm::kA8, x86::MatmulFp4A8Avx512,
                             kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kNf4>("matmul/nf4/f32/avx512", InputForm::kF32, x86::MatmulNf4Avx512,
                             kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kFp4>("matmul/fp4/f32/avx512", InputForm::kF32, x86::MatmulFp4Avx512,
                             kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kF8E4M3>("matmul/f8_e4m3/f32/avx512", InputForm::kF32,
                                x86::MatmulF8E4M3Avx512, kAvx2 | kAvx512Vnni),
    OnPanels<Encoding::kQ4_0>("matmul/q4_0/a8/avx2", InputForm::kA8, x86::MatmulQ40Avx2, kAvx2),
    OnPanels<Encoding::kQ4_1>("matmul/q4_1/a8/avx2", InputForm::kA8, x86::MatmulQ41Avx2, kAvx2),
    OnPanels<Encoding::kQ5_0>("matmul/q5_0/a8/avx2", InputForm::kA8, x86::MatmulQ50Avx2, kAvx2),
    OnPanels<Encoding::kQ5_1>("matmul/q5_1/a8/avx2", InputForm::kA8, x86::MatmulQ51Avx2, kAvx2),
    OnPanels<Encoding::kQ8_0>("matmul/q8_0/a8/avx2", InputForm::kA8, x86::MatmulQ80Avx2, kAvx2),
    OnPanels<Encoding::kQ2_K>("matmul/q2_k/a8/avx2", InputForm::kA8, x86::MatmulQ2KAvx2, kAvx2),
    OnPanels<Encoding::kQ3_K>("matmul/q3_k/a8/avx2", InputForm::kA8, x86::MatmulQ3KAvx2, kAvx2),
    OnPanels<Encoding::kQ4_K>("matmul/q4_k/a8/avx2", InputForm::kA8, x86::MatmulQ4KAvx2, kAvx2),
    OnPanels<Encoding::kQ5_K>("matmul/q5_k/a8/avx2", InputForm::kA8, x86::MatmulQ5KAvx2, kAvx2),
    OnPanels<Encoding::kQ6_K>("matmul/q6_k/a8/avx2", InputForm::kA8, x86::MatmulQ6KAvx2, kAvx2),
    OnPanels<Encoding::kInt2>("matmul/int2/a8/avx2", InputForm::kA8, x86::MatmulInt2Avx2, kAvx2),
    OnPanels<Encoding::kInt3>("matmul/int3/a8/avx2", InputForm::kA8, x86::MatmulInt3Avx2, kAvx2),
    OnPanels<Encoding::kInt4>("matmul/int4/a8/avx2", InputForm::kA8, x86::MatmulInt4Avx2, kAvx2),
    OnPanels<Encoding::kInt5>("matmul/int5/a8/avx2", InputForm::kA8, x86::MatmulInt5Avx2, kAvx2),
    OnPanels<Encoding::kInt6>("matmul/int6/a8/avx2", InputForm::kA8, x86::MatmulInt6Avx2, kAvx2),
    OnPanels<Encoding::kInt8>("matmul/int8/a8/avx2", InputForm::kA8, x86::MatmulInt8Avx2, kAvx2),
    OnPanels<Encoding::kInt4x128>("matmul/int4_128/a8/avx2", InputForm::kA8,
                                  x86::MatmulInt4x128Avx2, kAvx2),
    OnPanels<Encoding::kNf4>("matmul/nf4/a8/avx2", InputForm::kA8, x86::MatmulNf4A8Avx2, kAvx2),
    OnPanels<Encoding::kFp4>("matmul/fp4/a8/avx2", InputForm::kA8, x86::MatmulFp4A8Avx2, kAvx2),
    OnPanels<Encoding::kNf4>("matmul/nf4/f32/avx2", InputForm::kF32, x86::MatmulNf4Avx2, kAvx2),
    OnPanels<Encoding::kFp4>("matmul/fp4/f32/avx2", InputForm::kF32, x86::MatmulFp4Avx2, kAvx2),
    OnPanels<Encoding::kF8E4M3>("matmul/f8_e4m3/f32/avx2", InputForm::kF32, x86::MatmulF8E4M3Avx2,
                                kAvx2),
    OnPanels<Encoding::kF32>("matmul/f32/f32/avx2", InputForm::kF32, x86::MatmulF32Avx2, kAvx2),
    OnPanels<Encoding::kF16>("matmul/f16/f32/avx2", InputForm::kF32, x86::MatmulF16Avx2, kAvx2),
    OnPanels<Encoding::kBf16>("matmul/bf16/f32/avx2", InputForm::kF32, x86::MatmulBf16Avx2, kAvx2),
    Decoded<Encoding::kQ4_0>("matmul/q4_0/f32/avx2", kAvx2),
    Decoded<Encoding::kQ4_1>("matmul/q4_1/f32/avx2", kAvx2),
    Decoded<Encoding::kQ5_0>("matmul/q5_0/f32/avx2", kAvx2),
    Decoded<Encoding::kQ5_1>("matmul/q5_1/f32/avx2", kAvx2),
    Decoded<Encoding::kQ8_0>("matmul/q8_0/f32/avx2", kAvx2),
    Decoded<Encoding::kQ2_K>("matmul/q2_k/f32/avx2", kAvx2),
    Decoded<Encoding::kQ3_K>("matmul/q3_k/f32/avx2", kAvx2),
    Decoded<Encoding::kQ4_K>("matmul/q4_k/f32/avx2", kAvx2),
    Decoded<Encoding::kQ5_K>("matmul/q5_k/f32/avx2", kAvx2),
    Decoded<Encoding::kQ6_K>("matmul/q6_k/f32/avx2", kAvx2),
    Decoded<Encoding::kIq4Nl>("matmul/iq4_nl/f32/avx2", kAvx2),
    Decoded<Encoding::kIq4Xs>("matmul/iq4_xs/f32/avx2", kAvx2),
    Decoded<Encoding::kIq2Xxs>("matmul/iq2_xxs/f32/avx2", kAvx2),
    Decoded<Encoding::kIq2Xs>("matmul/iq2_xs/f32/avx2", kAvx2),
    Decoded<Encoding::kIq2S>("matmul/iq2_s/f32/avx2", kAvx2),
    Decoded<Encoding::kIq3Xxs>("matmul/iq3_xxs/f32/avx2", kAvx2),
    Decoded<Encoding::kIq3S>("matmul/iq3_s/f32/avx2", kAvx2),
    Decoded<Encoding::kIq1S>("matmul/iq1_s/f32/avx2", kAvx2),
    Decoded<Encoding::kIq1M>("matmul/iq1_m/f32/avx2", kAvx2),
    Decoded<Encoding::kTq1_0>("matmul/tq1_0/f32/avx2", kAvx2),
    Decoded<Encoding::kTq2_0>("matmul/tq2_0/f32/avx2", kAvx2),
    Decoded<Encoding::kMxfp4>("matmul/mxfp4/f32/avx2", kAvx2),
    Decoded<Encoding::kNvfp4>("matmul/nvfp4/f32/avx2", kAvx2),
    Decoded<Encoding::kInt2>("matmul/int2/f32/avx2", kAvx2),
    Decoded<Encoding::kInt3>("matmul/int3/f32/avx2", kAvx2),
    Decoded<Encoding::kInt4>("matmul/int4/f32/avx2", kAvx2),
    Decoded<Encoding::kInt5>("matmul/int5/f32/avx2", kAvx2),
    Decoded<Encoding::kInt6>("matmul/int6/f32/avx2", kAvx2),
    Decoded<Encoding::kInt8>("matmul/int8/f32/avx2", kAvx2),
    Decoded<Encoding::kInt4x128>("matmul/int4_128/f32/avx2", kAvx2),
#elif defined(__aarch64__)
    OnPanels<Encoding::kQ4_0>("matmul/q4_0/a8/i8mm", InputForm::kA8, arm::MatmulQ40I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ4_1>("matmul/q4_1/a8/i8mm", InputForm::kA8, arm::MatmulQ41I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ5_0>("matmul/q5_0/a8/i8mm", InputForm::kA8, arm::MatmulQ50I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ5_1>("matmul/q5_1/a8/i8mm", InputForm::kA8, arm::MatmulQ51I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ8_0>("matmul/q8_0/a8/i8mm", InputForm::kA8, arm::MatmulQ80I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ2_K>("matmul/q2_k/a8/i8mm", InputForm::kA8, arm::MatmulQ2KI8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ3_K>("matmul/q3_k/a8/i8mm", InputForm::kA8, arm::MatmulQ3KI8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ4_K>("matmul/q4_k/a8/i8mm", InputForm::kA8, arm::MatmulQ4KI8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ5_K>("matmul/q5_k/a8/i8mm", InputForm::kA8, arm::MatmulQ5KI8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ6_K>("matmul/q6_k/a8/i8mm", InputForm::kA8, arm::MatmulQ6KI8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt2>("matmul/int2/a8/i8mm", InputForm::kA8, arm::MatmulInt2I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt3>("matmul/int3/a8/i8mm", InputForm::kA8, arm::MatmulInt3I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt4>("matmul/int4/a8/i8mm", InputForm::kA8, arm::MatmulInt4I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt5>("matmul/int5/a8/i8mm", InputForm::kA8, arm::MatmulInt5I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt6>("matmul/int6/a8/i8mm", InputForm::kA8, arm::MatmulInt6I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt8>("matmul/int8/a8/i8mm", InputForm::kA8, arm::MatmulInt8I8mm,
                              kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kInt4x128>("matmul/int4_128/a8/i8mm", InputForm::kA8,
                                  arm::MatmulInt4x128I8mm, kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kNf4>("matmul/nf4/a8/i8mm", InputForm::kA8, arm::MatmulNf4A8I8mm,
                             kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kFp4>("matmul/fp4/a8/i8mm", InputForm::kA8, arm::MatmulFp4A8I8mm,
                             kNeon | kDotprod | kI8mm),
    OnPanels<Encoding::kQ4_0>("matmul/q4_0/a8/dotprod", InputForm::kA8, arm::MatmulQ40Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ4_1>("matmul/q4_1/a8/dotprod", InputForm::kA8, arm::MatmulQ41Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ5_0>("matmul/q5_0/a8/dotprod", InputForm::kA8, arm::MatmulQ50Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ5_1>("matmul/q5_1/a8/dotprod", InputForm::kA8, arm::MatmulQ51Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ8_0>("matmul/q8_0/a8/dotprod", InputForm::kA8, arm::MatmulQ80Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ2_K>("matmul/q2_k/a8/dotprod", InputForm::kA8, arm::MatmulQ2KDotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ3_K>("matmul/q3_k/a8/dotprod", InputForm::kA8, arm::MatmulQ3KDotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ4_K>("matmul/q4_k/a8/dotprod", InputForm::kA8, arm::MatmulQ4KDotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ5_K>("matmul/q5_k/a8/dotprod", InputForm::kA8, arm::MatmulQ5KDotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kQ6_K>("matmul/q6_k/a8/dotprod", InputForm::kA8, arm::MatmulQ6KDotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt2>("matmul/int2/a8/dotprod", InputForm::kA8, arm::MatmulInt2Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt3>("matmul/int3/a8/dotprod", InputForm::kA8, arm::MatmulInt3Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt4>("matmul/int4/a8/dotprod", InputForm::kA8, arm::MatmulInt4Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt5>("matmul/int5/a8/dotprod", InputForm::kA8, arm::MatmulInt5Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt6>("matmul/int6/a8/dotprod", InputForm::kA8, arm::MatmulInt6Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt8>("matmul/int8/a8/dotprod", InputForm::kA8, arm::MatmulInt8Dotprod,
                              kNeon | kDotprod),
    OnPanels<Encoding::kInt4x128>("matmul/int4_128/a8/dotprod", InputForm::kA8,
                                  arm::MatmulInt4x128Dotprod, kNeon | kDotprod),
    OnPanels<Encoding::kNf4>("matmul/nf4/a8/dotprod", InputForm::kA8, arm::MatmulNf4A8Dotprod,
                             kNeon | kDotprod),
    OnPanels<Encoding::kFp4>("matmul/fp4/a8/dotprod", InputForm::kA8, arm::MatmulFp4A8Dotprod,
                             kNeon | kDotprod),
    OnPanels<Encoding::kQ4_0>("matmul/q4_0/a8/neon", InputForm::kA8, arm::MatmulQ40Neon, kNeon),
    OnPanels<Encoding::kQ4_1>("matmul/q4_1/a8/neon", InputForm::kA8, arm::MatmulQ41Neon, kNeon),
    OnPanels<Encoding::kQ5_0>("matmul/q5_0/a8/neon", InputForm::kA8, arm::MatmulQ50Neon, kNeon),
    OnPanels<Encoding::kQ5_1>("matmul/q5_1/a8/neon", InputForm::kA8, arm::MatmulQ51Neon, kNeon),
    OnPanels<Encoding::kQ8_0>("matmul/q8_0/a8/neon", InputForm::kA8, arm::MatmulQ80Neon, kNeon),
    OnPanels<Encoding::kQ2_K>("matmul/q2_k/a8/neon", InputForm::kA8, arm::MatmulQ2KNeon, kNeon),
    OnPanels<Encoding::kQ3_K>("matmul/q3_k/a8/neon", InputForm::kA8, arm::MatmulQ3KNeon, kNeon),
    OnPanels<Encoding::kQ4_K>("matmul/q4_k/a8/neon", InputForm::kA8, arm::MatmulQ4KNeon, kNeon),
    OnPanels<Encoding::kQ5_K>("matmul/q5_k/a8/neon", InputForm::kA8, arm::MatmulQ5KNeon, kNeon),
    OnPanels<Encoding::kQ6_K>("matmul/q6_k/a8/neon", InputForm::kA8, arm::MatmulQ6KNeon, kNeon),
    OnPanels<Encoding::kInt2>("matmul/int2/a8/neon", InputForm::kA8, arm::MatmulInt2Neon, kNeon),
    OnPanels<Encoding::kInt3>("matmul/int3/a8/neon", InputForm::kA8, arm::MatmulInt3Neon, kNeon),
    OnPanels<Encoding::kInt4>("matmul/int4/a8/neon", InputForm::kA8, arm::MatmulInt4Neon, kNeon),
    OnPanels<Encoding::kInt5>("matmul/int5/a8/neon", InputForm::kA8, arm::MatmulInt5Neon, kNeon),
    OnPanels<Encoding::kInt6>("matmul/int6/a8/neon", InputForm::kA8, arm::MatmulInt6Neon, kNeon),
    OnPanels<Encoding::kInt8>("matmul/int8/a8/neon", InputForm::kA8, arm::MatmulInt8Neon, kNeon),
    OnPanels<Encoding::kInt4x128>("matmul/int4_128/a8/neon", InputForm::kA8,
                                  arm::MatmulInt4x128Neon, kNeon),
    OnPanels<Encoding::kNf4>("matmul/nf4/a8/neon", InputForm::kA8, arm::MatmulNf4A8Neon, kNeon),
    OnPanels<Encoding::kFp4>("matmul/fp4/a8/neon", InputForm::kA8, arm::MatmulFp4A8Neon, kNeon),
    OnPanels<Encoding::kF32>("matmul/f32/f32/neon", InputForm::kF32, arm::MatmulF32Neon, kNeon),
    OnPanels<Encoding::kF16>("matmul/f16/f32/neon", InputForm::kF32, arm::MatmulF16Neon, kNeon),
    OnPanels<Encoding::kBf16>("matmul/bf16/f32/neon", InputForm::kF32, arm::MatmulBf16Neon, kNeon),
    Decoded<Encoding::kQ4_0>("matmul/q4_0/f32/neon", kNeon),
    Decoded<Encoding::kQ4_1>("matmul/q4_1/f32/neon", kNeon),
    Decoded<Encoding::kQ5_0>("matmul/q5_0/f32/neon", kNeon),
    Decoded<Encoding::kQ5_1>("matmul/q5_1/f32/neon", kNeon),
    Decoded<Encoding::kQ8_0>("matmul/q8_0/f32/neon", kNeon),
    Decoded<Encoding::kQ2_K>("matmul/q2_k/f32/neon", kNeon),
    Decoded<Encoding::kQ3_K>("matmul/q3_k/f32/neon", kNeon),
    Decoded<Encoding::kQ4_K>("matmul/q4_k/f32/neon", kNeon),
    Decoded<Encoding::kQ5_K>("matmul/q5_k/f32/neon", kNeon),
    Decoded<Encoding::kQ6_K>("matmul/q6_k/f32/neon", kNeon),
    Decoded<Encoding::kIq4Nl>("matmul/iq4_nl/f32/neon", kNeon),
    Decoded<Encoding::kIq4Xs>("matmul/iq4_xs/f32/neon", kNeon),
    Decoded<Encoding::kIq2Xxs>("matmul/iq2_xxs/f32/neon", kNeon),
    Decoded<Encoding::kIq2Xs>("matmul/iq2_xs/f32/neon", kNeon),
    Decoded<Encoding::kIq2S>("matmul/iq2_s/f32/neon", kNeon),
    Decoded<Encoding::kIq3Xxs>("matmul/iq3_xxs/f32/neon", kNeon),
    Decoded<Encoding::kIq3S>("matmul/iq3_s/f32/neon", kNeon),
    Decoded<Encoding::kIq1S>("matmul/iq1_s/f32/neon", kNeon),
    Decoded<Encoding::kIq1M>("matmul/iq1_m/f32/neon", kNeon),
    Decoded<Encoding::kTq1_0>("matmul/tq1_0/f32/neon", kNeon),
    Decoded<Encoding::kTq2_0>("matmul/tq2_0/f32/neon", kNeon),
    Decoded<Encoding::kMxfp4>("matmul/mxfp4/f32/neon", kNeon),
    Decoded<Encoding::kNvfp4>("matmul/nvfp4/f32/neon", kNeon),
    Decoded<Encoding::kInt2>("matmul/int2/f32/neon", kNeon),
    Decoded<Encoding::kInt3>("matmul/int3/f32/neon", kNeon),
    Decoded<Encoding::kInt4>("matmul/int4/f32/neon", kNeon),
    Decoded<Encoding::kInt5>("matmul/int5/f32/neon", kNeon),
    Decoded<Encoding::kInt6>("matmul/int6/f32/neon", kNeon),
    Decoded<Encoding::kInt8>("matmul/int8/f32/neon", kNeon),
    Decoded<Encoding::kInt4x128>("matmul/int4_128/f32/neon", kNeon),
    Decoded<Encoding::kNf4>("matmul/nf4/f32/neon", kNeon),
    Decoded<Encoding::kFp4>("matmul/fp4/f32/neon", kNeon),
    Decoded<Encoding::kF8E4M3>("matmul/f8_e4m3/f32/neon", kNeon),
#endif
    PortableA8<Encoding::kQ4_0, FormatQ40>("matmul/q4_0/a8/portable"),
    PortableA8<Encoding::kQ4_1, FormatQ41>("matmul/q4_1/a8/portable"),
    PortableA8<Encoding::kQ5_0, FormatQ50>("matmul/q5_0/a8/portable"),
    PortableA8<Encoding::kQ5_1, FormatQ51>("matmul/q5_1/a8/portable"),
    PortableA8<Encoding::kQ8_0, FormatQ80>("matmul/q8_0/a8/portable"),
    PortableA8<Encoding::kQ2_K, FormatQ2K>("matmul/q2_k/a8/portable"),
    PortableA8<Encoding::kQ3_K, FormatQ3K>("matmul/q3_k/a8/portable"),
    PortableA8<Encoding::kQ4_K, FormatQ4K>("matmul/q4_k/a8/portable"),
    PortableA8<Encoding::kQ5_K, FormatQ5K>("matmul/q5_k/a8/portable"),
    PortableA8<Encoding::kQ6_K, FormatQ6K>("matmul/q6_k/a8/portable"),
    PortableA8<Encoding::kIq4Nl, FormatIq4Nl>("matmul/iq4_nl/a8/portable"),
    PortableA8<Encoding::kIq4Xs, FormatIq4Xs>("matmul/iq4_xs/a8/portable"),
    PortableA8<Encoding::kIq2Xxs, FormatIq2Xxs>("matmul/iq2_xxs/a8/portable"),
    PortableA8<Encoding::kIq2Xs, FormatIq2Xs>("matmul/iq2_xs/a8/portable"),
    PortableA8<Encoding::kIq2S, FormatIq2S>("matmul/iq2_s/a8/portable"),
    PortableA8<Encoding::kIq3Xxs, FormatIq3Xxs>("matmul/iq3_xxs/a8/portable"),
    PortableA8<Encoding::kIq3S, FormatIq3S>("matmul/iq3_s/a8/portable"),
    PortableA8<Encoding::kIq1S, FormatIq1S>("matmul/iq1_s/a8/portable"),
    PortableA8<Encoding::kIq1M, FormatIq1M>("matmul/iq1_m/a8/portable"),
    PortableA8<Encoding::kTq1_0, FormatTq10>("matmul/tq1_0/a8/portable"),
    PortableA8<Encoding::kTq2_0, FormatTq20>("matmul/tq2_0/a8/portable"),
    PortableA8<Encoding::kMxfp4, FormatMxfp4>("matmul/mxfp4/a8/portable"),
    PortableA8<Encoding::kNvfp4, FormatNvfp4>("matmul/nvfp4/a8/portable"),
    PortableA8<Encoding::kInt2, FormatInt<2, 32>>("matmul/int2/a8/portable"),
    PortableA8<Encoding::kInt3, FormatInt<3, 32>>("matmul/int3/a8/portable"),
    PortableA8<Encoding::kInt4, FormatInt<4, 32>>("matmul/int4/a8/portable"),
    PortableA8<Encoding::kInt5, FormatInt<5, 32>>("matmul/int5/a8/portable"),
    PortableA8<Encoding::kInt6, FormatInt<6, 32>>("matmul/int6/a8/portable"),
    PortableA8<Encoding::kInt8, FormatInt<8, 32>>("matmul/int8/a8/portable"),
    PortableA8<Encoding::kInt4x128, FormatInt<4, 128>>("matmul/int4_128/a8/portable"),
    PortableA8<Encoding::kNf4, FormatNf4>("matmul/nf4/a8/portable"),
    PortableA8<Encoding::kFp4, FormatFp4>("matmul/fp4/a8/portable"),
    PortableF32<Encoding::kF32>("matmul/f32/f32/portable"),
    PortableF32<Encoding::kF16>("matmul/f16/f32/portable"),
    PortableF32<Encoding::kBf16>("matmul/bf16/f32/portable"),
    PortableF32<Encoding::kQ4_0>("matmul/q4_0/f32/portable"),
    PortableF32<Encoding::kQ4_1>("matmul/q4_1/f32/portable"),
    PortableF32<Encoding::kQ5_0>("matmul/q5_0/f32/portable"),
    PortableF32<Encoding::kQ5_1>("matmul/q5_1/f32/portable"),
    PortableF32<Encoding::kQ8_0>("matmul/q8_0/f32/portable"),
    PortableF32<Encoding::kQ2_K>("matmul/q2_k/f32/portable"),
    PortableF32<Encoding::kQ3_K>("matmul/q3_k/f32/portable"),
    PortableF32<Encoding::kQ4_K>("matmul/q4_k/f32/portable"),
    PortableF32<Encoding::kQ5_K>("matmul/q5_k/f32/portable"),
    PortableF32<Encoding::kQ6_K>("matmul/q6_k/f32/portable"),
    PortableF32<Encoding::kIq4Nl>("matmul/iq4_nl/f32/portable"),
    PortableF32<Encoding::kIq4Xs>("matmul/iq4_xs/f32/portable"),
    PortableF32<Encoding::kIq2Xxs>("matmul/iq2_xxs/f32/portable"),
    PortableF32<Encoding::kIq2Xs>("matmul/iq2_xs/f32/portable"),
    PortableF32<Encoding::kIq2S>("matmul/iq2_s/f32/portable"),
    PortableF32<Encoding::kIq3Xxs>("matmul/iq3_xxs/f32/portable"),
    PortableF32<Encoding::kIq3S>("matmul/iq3_s/f32/portable"),
    PortableF32<Encoding::kIq1S>("matmul/iq1_s/f32/portable"),
    PortableF32<Encoding::kIq1M>("matmul/iq1_m/f32/portable"),
    PortableF32<Encoding::kTq1_0>("matmul/tq1_0/f32/portable"),
    PortableF32<Encoding::kTq2_0>("matmul/tq2_0/f32/portable"),
    PortableF32<Encoding::kMxfp4>("matmul/mxfp4/f32/portable"),
    PortableF32<Encoding::kNvfp4>("matmul/nvfp4/f32/portable"),
    PortableF32<Encoding::kInt2>("matmul/int2/f32/portable"),
    PortableF32<Encoding::kInt3>("matmul/int3/f32/portable"),
    PortableF32<Encoding::kInt4>("matmul/int4/f32/portable"),
    PortableF32<Encoding::kInt5>("matmul/int5/f32/portable"),
    PortableF32<Encoding::kInt6>("matmul/int6/f32/portable"),
    PortableF32<Encoding::kInt8>("matmul/int8/f32/portable"),
    PortableF32<Encoding::kInt4x128>("matmul/int4_128/f32/portable"),
    PortableF32<Encoding::kNf4>("matmul/nf4/f32/portable"),
    PortableF32<Encoding::kFp4>("matmul/fp4/f32/portable"),
    PortableF32<Encoding::kF8E4M3>("matmul/f8_e4m3/f32/portable"),
};

}  // namespace

const MatmulKernel* FindMatmul(Encoding encoding, InputForm form, Features available) {
  for (const MatmulKernel& kernel : kKernels) {
    if (kernel.encoding == encoding && kernel.form == form && Has(available, kernel.needs)) {
      return &kernel;
    }
  }
  return nullptr;
}

std::span<const MatmulKernel> MatmulKernels() { return kKernels; }

void DefaultSegments(MatmulShape* shape, std::size_t block_values) {
  const std::size_t block = block_values < 32 ? 32 : block_values;
  const std::size_t blocks = shape->inputs / block;
  const std::size_t segments = blocks < 1 ? 1 : (blocks < kMaxSegments ? blocks : kMaxSegments);
  shape->segments = static_cast<std::uint32_t>(segments);
  for (std::size_t s = 0; s < segments; ++s) {
    shape->segment_ends[s] = static_cast<std::uint32_t>((s + 1) * blocks / segments * block);
  }
  shape->segment_ends[segments - 1] = shape->inputs;
}

}  // namespace bramble::kernels
