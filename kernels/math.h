// The functions of docs/arithmetic.md on one number: sequences of IEEE operations, the same on
// every CPU. Nothing of libm is used but square root, rint and fused multiply-add. For ordinary
// code only: a file with instruction-set flags has its own forms (kernels/x86/math_avx2.h).
#pragma once

namespace bramble::kernels {

// a * b + c with one rounding.
float Fma(float a, float b, float c);
double Fma(double a, double b, double c);

// e^x. x >= 88.72284: infinity; x < -87.33654: 0. Otherwise within 1.04 ulp.
float Exp(float x);
// Within 1 ulp or so of the true value; below -708: 0; above 709: infinity.
double Exp(double x);
// Natural logarithm of a positive, normal x; within 1 ulp or so.
double Log(double x);

float Tanh(float x);
float Sigmoid(float x);
float Erf(float x);
float Softplus(float x);

// Sine and cosine of a, |a| < 2^31; within 2^-50 or so.
void SinCos(double a, double* sine, double* cosine);

}  // namespace bramble::kernels
