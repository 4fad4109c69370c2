// The rows of 64-bit ARM: each equals the portable one to the bit. Only declarations: files with
// instruction-set flags include this.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/matmul.h"
#include "kernels/sequence.h"

namespace bramble::kernels::arm {

bool QuantizeA8Neon(const float* x, std::size_t n, std::byte* row);

// On the layouts of kernels/panels/layouts.h.
void MatmulQ40Neon(const MatmulArgs& args);
void MatmulQ41Neon(const MatmulArgs& args);
void MatmulQ50Neon(const MatmulArgs& args);
void MatmulQ51Neon(const MatmulArgs& args);
void MatmulQ80Neon(const MatmulArgs& args);
void MatmulQ2KNeon(const MatmulArgs& args);
void MatmulQ3KNeon(const MatmulArgs& args);
void MatmulQ4KNeon(const MatmulArgs& args);
void MatmulQ5KNeon(const MatmulArgs& args);
void MatmulQ6KNeon(const MatmulArgs& args);
void MatmulInt2Neon(const MatmulArgs& args);
void MatmulInt3Neon(const MatmulArgs& args);
void MatmulInt4Neon(const MatmulArgs& args);
void MatmulInt5Neon(const MatmulArgs& args);
void MatmulInt6Neon(const MatmulArgs& args);
void MatmulInt8Neon(const MatmulArgs& args);
void MatmulInt4x128Neon(const MatmulArgs& args);
void MatmulNf4A8Neon(const MatmulArgs& args);
void MatmulFp4A8Neon(const MatmulArgs& args);
void MatmulQ40Dotprod(const MatmulArgs& args);
void MatmulQ41Dotprod(const MatmulArgs& args);
void MatmulQ50Dotprod(const MatmulArgs& args);
void MatmulQ51Dotprod(const MatmulArgs& args);
void MatmulQ80Dotprod(const MatmulArgs& args);
void MatmulQ2KDotprod(const MatmulArgs& args);
void MatmulQ3KDotprod(const MatmulArgs& args);
void MatmulQ4KDotprod(const MatmulArgs& args);
void MatmulQ5KDotprod(const MatmulArgs& args);
void MatmulQ6KDotprod(const MatmulArgs& args);
void MatmulInt2Dotprod(const MatmulArgs& args);
void MatmulInt3Dotprod(const MatmulArgs& args);
void MatmulInt4Dotprod(const MatmulArgs& args);
void MatmulInt5Dotprod(const MatmulArgs& args);
void MatmulInt6Dotprod(const MatmulArgs& args);
void MatmulInt8Dotprod(const MatmulArgs& args);
void MatmulInt4x128Dotprod(const MatmulArgs& args);
void MatmulNf4A8Dotprod(const MatmulArgs& args);
void MatmulFp4A8Dotprod(const MatmulArgs& args);
void MatmulQ40I8mm(const MatmulArgs& args);
void MatmulQ41I8mm(const MatmulArgs& args);
void MatmulQ50I8mm(const MatmulArgs& args);
void MatmulQ51I8mm(const MatmulArgs& args);
void MatmulQ80I8mm(const MatmulArgs& args);
void MatmulQ2KI8mm(const MatmulArgs& args);
void MatmulQ3KI8mm(const MatmulArgs& args);
void MatmulQ4KI8mm(const MatmulArgs& args);
void MatmulQ5KI8mm(const MatmulArgs& args);
void MatmulQ6KI8mm(const MatmulArgs& args);
void MatmulInt2I8mm(const MatmulArgs& args);
void MatmulInt3I8mm(const MatmulArgs& args);
void MatmulInt4I8mm(const MatmulArgs& args);
void MatmulInt5I8mm(const MatmulArgs& args);
void MatmulInt6I8mm(const MatmulArgs& args);
void MatmulInt8I8mm(const MatmulArgs& args);
void MatmulInt4x128I8mm(const MatmulArgs& args);
void MatmulNf4A8I8mm(const MatmulArgs& args);
void MatmulFp4A8I8mm(const MatmulArgs& args);
void MatmulF32Neon(const MatmulArgs& args);
void MatmulF16Neon(const MatmulArgs& args);
void MatmulBf16Neon(const MatmulArgs& args);

// An inner loop of portable/matmul_f32.h.
void AddPieceNeon(const float* weights, std::size_t inputs, const std::byte* input,
                  std::size_t input_stride, std::size_t rows, float* sums);

void RmsNormNeon(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                 float* y);
void LayerNormNeon(const float* x, const float* gain, const float* bias, float epsilon,
                   std::size_t n, float* y);
void L2NormNeon(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
                float* y);

void RopeHalfNeon(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y);
void RopePairNeon(const float* x, const float* cosines, const float* sines, std::size_t pairs,
                  std::size_t heads, std::size_t head_dim, float* y);

void AttentionNeon(const AttentionArgs& args);

void ConvolutionNeon(const ConvolutionArgs& args);
void SelectiveScanNeon(const StateSpaceArgs& args);
void StateSpaceDualNeon(const StateSpaceArgs& args);
void WkvNeon(const WkvArgs& args);

void SoftCapNeon(const float* a, float scalar, std::size_t n, float* y);
void AddScaledNeon(const float* a, float scalar, std::size_t n, float* y);

void FloatsToHalvesNeon(const float* x, std::size_t n, std::uint16_t* y);

// `function` is one of kernels/activation.h; the tables bind it.
void ActivateNeon(Function function, const float* x, std::size_t n, float* y);
void GateNeon(Function function, const float* a, const float* b, float limit, float offset,
              std::size_t n, float* y);

}  // namespace bramble::kernels::arm
