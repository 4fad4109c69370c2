// Runs one matrix product a number of times, for tests/bench/arm_instructions.py to count
// instructions.
//
// usage: product_once KERNEL ROWS TIMES       a kernel by its name in the table,
// "matmul/q4_0/a8/neon"
//
// One panel of 16 outputs and 2048 inputs (8 segments). Prints the bytes of weights that a product
// reads.
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "kernels/a8.h"
#include "kernels/matmul.h"

namespace bramble::kernels {
namespace {

constexpr std::size_t kInputs = 2048;
constexpr std::size_t kOutputs = 16;

const MatmulKernel* Find(std::string_view name) {
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (kernel.name == name) return &kernel;
  }
  return nullptr;
}

int Main(const char* name, std::size_t rows, int times) {
  const MatmulKernel* kernel = Find(name);
  if (kernel == nullptr || !Has(ThisCpu(), kernel->needs)) {
    std::fprintf(stderr, "product_once: no kernel %s for this CPU\n", name);
    return 2;
  }
  MatmulShape shape{kOutputs, kInputs, 0, {}};
  DefaultSegments(&shape, FindEncoding(kernel->encoding)->block_values);
  const std::size_t bytes = kernel->packed_bytes(shape);
  const bool a8 = kernel->form == InputForm::kA8;
  const std::size_t stride = a8 ? A8RowBytes(kInputs) : kInputs * sizeof(float);
  // All zero: nothing here depends on the numbers.
  auto* packed = static_cast<std::byte*>(std::calloc(bytes + 64, 1));
  auto* input = static_cast<std::byte*>(std::calloc(rows * stride + 64, 1));
  std::vector<float> output(rows * kOutputs);
  const MatmulArgs args{&shape,  packed,        input,    stride, rows,
                        nullptr, output.data(), kOutputs, 0,      kOutputs};
  for (int i = 0; i < times; ++i) kernel->run(args);
  std::printf("bytes %zu\n", bytes);
  std::free(packed);
  std::free(input);
  return 0;
}

}  // namespace
}  // namespace bramble::kernels

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: product_once KERNEL ROWS TIMES\n");
    return 2;
  }
  return bramble::kernels::Main(argv[1], std::strtoul(argv[2], nullptr, 10), std::atoi(argv[3]));
}
