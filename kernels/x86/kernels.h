// The rows of x86: each equals the portable one to the bit. Only declarations: files with
// instruction-set flags include this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kernels/sequence.h"

namespace bramble::kernels::x86 {

bool QuantizeA8Avx2(const float* x, std::size_t n, std::byte* row);

// On the layouts of kernels/panels/layouts.h.
void MatmulQ40Avx2(const MatmulArgs& args);
void MatmulQ41Avx2(const MatmulArgs& args);
void MatmulQ50Avx2(const MatmulArgs& args);
void MatmulQ51Avx2(const MatmulArgs& args);
void MatmulQ80Avx2(const MatmulArgs& args);
void MatmulQ2KAvx2(const MatmulArgs& args);
void MatmulQ3KAvx2(const MatmulArgs& args);
void MatmulQ4KAvx2(const MatmulArgs& args);
void MatmulQ5KAvx2(const MatmulArgs& args);
void MatmulQ6KAvx2(const MatmulArgs& args);
void MatmulQ40Avx512(const MatmulArgs& args);
void MatmulQ41Avx512(const MatmulArgs& args);
void MatmulQ50Avx512(const MatmulArgs& args);
void MatmulQ51Avx512(const MatmulArgs& args);
void MatmulQ80Avx512(const MatmulArgs& args);
void MatmulQ2KAvx512(const MatmulArgs& args);
void MatmulQ3KAvx512(const MatmulArgs& args);
void MatmulQ4KAvx512(const MatmulArgs& args);
void MatmulQ5KAvx512(const MatmulArgs& args);
void MatmulQ6KAvx512(const MatmulArgs& args);
void MatmulInt2Avx2(const MatmulArgs& args);
void MatmulInt3Avx2(const MatmulArgs& args);
void MatmulInt4Avx2(const MatmulArgs& args);
void MatmulInt5Avx2(const MatmulArgs& args);
void MatmulInt6Avx2(const MatmulArgs& args);
void MatmulInt8Avx2(const MatmulArgs& args);
void MatmulInt4x128Avx2(const MatmulArgs& args);
void MatmulNf4A8Avx2(const MatmulArgs& args);
void MatmulFp4A8Avx2(const MatmulArgs& args);
void MatmulNf4A8Avx512(const MatmulArgs& args);
void MatmulFp4A8Avx512(const MatmulArgs& args);
void MatmulNf4Avx2(const MatmulArgs& args);
void MatmulFp4Avx2(const MatmulArgs& args);
void MatmulF8E4M3Avx2(const MatmulArgs& args);
void MatmulInt2Avx512(const MatmulArgs& args);
void MatmulInt3Avx512(const MatmulArgs& args);
void MatmulInt4Avx512(const MatmulArgs& args);
void MatmulInt5Avx512(const MatmulArgs& args);
void MatmulInt6Avx512(const MatmulArgs& args);
void MatmulInt8Avx512(const MatmulArgs& args);
void MatmulInt4x128Avx512(const MatmulArgs& args);
void MatmulNf4Avx512(const MatmulArgs& args);
void MatmulFp4Avx512(const MatmulArgs& args);
void MatmulF8E4M3Avx512(const MatmulArgs& args);
void MatmulF32Avx2(const MatmulArgs& args);
void MatmulF16Avx2(const MatmulArgs& args);
void MatmulBf16Avx2(const MatmulArgs& args);

// An inner loop of portable/matmul_f32.h.
void AddPieceAvx2(const float* weights, std::size_t inputs, const std::byte* input,
                  std::size_t input_stride, std::size_t rows, float* sums);

void RmsNormAvx2(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                 float* y);
void LayerNormAvx2(const float* x, const float* gain, const float* bias, float epsilon,
                   std::size_t n, float* y);
void L2NormAvx2(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                float* y);

void RopeHalfAvx2(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y);

void AttentionAvx2(const AttentionArgs& args);

void ConvolutionAvx2(const ConvolutionArgs& args);
void SelectiveScanAvx2(const StateSpaceArgs& args);
void StateSpaceDualAvx2(const StateSpaceArgs& args);
void WkvAvx2(const WkvArgs& args);

void SoftCapAvx2(const float* a, float scalar, std::size_t n, float* y);
void AddScaledAvx2(const float* a, float scalar, std::size_t n, float* y);

void FloatsToHalvesAvx2(const float* x, std::size_t n, std::uint16_t* y);

// `function` is one of kernels/activation.h; the tables bind it.
void ActivateAvx2(Function function, const float* x, std::size_t n, float* y);
void GateAvx2(Function function, const float* a, const float* b, float limit, float offset,
              std::size_t n, float* y);

}  // namespace bramble::kernels::x86
