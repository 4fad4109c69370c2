// The portable row of every table: the definition that all other rows must equal to the bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/attention.h"
#include "kernels/route.h"
#include "kernels/sequence.h"

namespace bramble::kernels::portable {

bool QuantizeA8(const float* x, std::size_t n, std::byte* row);

void RmsNorm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
             float* y);
void LayerNorm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
               float* y);
void L2Norm(const float* x, const float* gain, const float* bias, float epsilon, std::size_t n,
            float* y);

void RopeHalf(const float* x, const float* cosines, const float* sines, std::size_t pairs,
              std::size_t heads, std::size_t head_dim, float* y);
void RopePair(const float* x, const float* cosines, const float* sines, std::size_t pairs,
              std::size_t heads, std::size_t head_dim, float* y);

void Attention(const AttentionArgs& args);

void Convolution(const ConvolutionArgs& args);
void SelectiveScan(const StateSpaceArgs& args);
void StateSpaceDual(const StateSpaceArgs& args);
void Wkv(const WkvArgs& args);

void Add(const float* a, const float* b, std::size_t n, float* y);
void Multiply(const float* a, const float* b, std::size_t n, float* y);
void Maximum(const float* a, const float* b, std::size_t n, float* y);
void Scale(const float* a, float scalar, std::size_t n, float* y);
void SoftCap(const float* a, float scalar, std::size_t n, float* y);
void Clamp(const float* a, float scalar, std::size_t n, float* y);
void AddScaled(const float* a, float scalar, std::size_t n, float* y);

void Route(const RouteRule& rule, const float* logits, float* scratch, Choice* choices);

void FloatsToHalves(const float* x, std::size_t n, std::uint16_t* y);

template <Function kFunction>
void Activate(const float* x, std::size_t n, float* y);
template <Function kFunction>
void Gate(const float* a, const float* b, float limit, float offset, std::size_t n, float* y);

}  // namespace bramble::kernels::portable
