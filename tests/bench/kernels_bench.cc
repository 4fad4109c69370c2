// How fast the matrix products are on this machine, for each kernel of the table.
//
// usage: kernels_bench [FILTER]       only kernels whose name contains FILTER
//
// Decode: one input row and matrices that together are larger than the caches; bytes of weights a
// second, packed as they are read. Eight rows: the same with 8 input rows, still counted once.
// Prefill: 128 rows; a multiply and an add are two operations. One thread. Each figure is the best
// of several runs; "read" is what plain reading of the same memory gives.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/a8.h"
#include "kernels/convert.h"
#include "kernels/matmul.h"

namespace bramble::kernels {
namespace {

constexpr std::size_t kInputs = 2048;
constexpr std::size_t kOutputs = 2048;
constexpr std::size_t kPrefillRows = 128;
constexpr std::size_t kArenaBytes = std::size_t{96} << 20U;
constexpr int kRuns = 5;

struct Free {
  void operator()(std::byte* p) const { std::free(p); }
};
using Memory = std::unique_ptr<std::byte[], Free>;

Memory Allocate(std::size_t bytes) {
  return Memory(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
}

// Of this thread: other programs on the same cores disturb it less than the clock on the wall.
double ProcessorSeconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

template <typename Work>
double BestSeconds(const Work& work) {
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    const double start = ProcessorSeconds();
    work();
    best = std::min(best, ProcessorSeconds() - start);
  }
  return best;
}

// Keeps a result alive.
volatile std::uint64_t g_sink = 0;

double MeasureRead(const std::byte* arena) {
  const double seconds = BestSeconds([&] {
    std::uint64_t sums[8] = {};
    for (std::size_t i = 0; i < kArenaBytes; i += sizeof(sums)) {
      std::uint64_t words[8];
      std::memcpy(words, arena + i, sizeof(words));
      for (std::size_t w = 0; w < 8; ++w) sums[w] += words[w];
    }
    for (const std::uint64_t sum : sums) g_sink = g_sink + sum;
  });
  return static_cast<double>(kArenaBytes) / seconds * 1e-9;
}

// Random bytes, but ordinary numbers where floats lie: the time of an operation must not depend on
// rare values.
std::vector<std::byte> Weights(const EncodingInfo& info, std::mt19937_64& random) {
  std::vector<std::byte> weights(kOutputs * kInputs / info.block_values * info.block_bytes);
  if (info.encoding == Encoding::kF32) {
    std::vector<float> values(weights.size() / 4);
    for (float& v : values) v = std::normal_distribution<float>()(random);
    std::memcpy(weights.data(), values.data(), weights.size());
    return weights;
  }
  // A small pattern in which each 16-bit word is an ordinary half (and bf16): exponents near that
  // of 0.1.
  for (std::size_t i = 0; i + 1 < weights.size(); i += 2) {
    weights[i] = static_cast<std::byte>(random());
    weights[i + 1] = static_cast<std::byte>(0x28 + random() % 8);
  }
  return weights;
}

struct Speeds {
  double decode_gb;
  double eight_gb;
  double prefill_gop;
};

Speeds Measure(const MatmulKernel& kernel, std::byte* arena, std::mt19937_64& random) {
  const EncodingInfo& info = *FindEncoding(kernel.encoding);
  MatmulShape shape{kOutputs, kInputs, 0, {}};
  DefaultSegments(&shape, info.block_values);
  const std::vector<std::byte> weights = Weights(info, random);
  const std::size_t bytes = kernel.packed_bytes(shape);
  const std::size_t copies = kArenaBytes / bytes;
  kernel.pack(shape, weights.data(), arena, 0, Panels(shape));
  for (std::size_t c = 1; c < copies; ++c) std::memcpy(arena + c * bytes, arena, bytes);

  std::vector<float> x(kPrefillRows * kInputs);
  for (float& v : x) v = std::normal_distribution<float>()(random);
  const bool a8 = kernel.form == InputForm::kA8;
  const std::size_t stride = a8 ? A8RowBytes(kInputs) : kInputs * sizeof(float);
  const Memory input = Allocate(kPrefillRows * stride);
  for (std::size_t r = 0; r < kPrefillRows; ++r) {
    if (a8) {
      Best(QuantizeA8Rows(), ThisCpu()).run(&x[r * kInputs], kInputs, &input[r * stride]);
    } else {
      std::memcpy(&input[r * stride], &x[r * kInputs], stride);
    }
  }
  std::vector<float> output(kPrefillRows * kOutputs);
  MatmulArgs args{&shape,  arena,         input.get(), stride, 1,
                  nullptr, output.data(), kOutputs,    0,      kOutputs};
  // Slow kernels (portable ones) walk fewer copies.
  const std::size_t walked = kernel.needs == kNothing ? std::min<std::size_t>(copies, 4) : copies;
  const auto walk = [&](std::size_t rows) {
    args.rows = rows;
    return BestSeconds([&] {
      for (std::size_t c = 0; c < walked; ++c) {
        args.packed = arena + c * bytes;
        kernel.run(args);
      }
    });
  };
  const double all_bytes = static_cast<double>(walked * bytes) * 1e-9;
  Speeds speeds{};
  speeds.decode_gb = all_bytes / walk(1);
  speeds.eight_gb = all_bytes / walk(8);
  args.packed = arena;
  args.rows = kPrefillRows;
  const double prefill = BestSeconds([&] { kernel.run(args); });
  speeds.prefill_gop = 2e-9 * kPrefillRows * kInputs * kOutputs / prefill;
  return speeds;
}

int Main(const std::string& filter) {
  std::mt19937_64 random(1);
  const Memory arena = Allocate(kArenaBytes);
  std::memset(arena.get(), 1, kArenaBytes);
  std::printf("%-28s %10s %10s %12s %10s\n", "kernel", "1 row GB/s", "8 rows", "128 rows Gop",
              "read GB/s");
  for (const MatmulKernel& kernel : MatmulKernels()) {
    if (!Has(ThisCpu(), kernel.needs)) continue;
    if (std::string(kernel.name).find(filter) == std::string::npos) continue;
    const Speeds speeds = Measure(kernel, arena.get(), random);
    std::printf("%-28s %10.1f %10.1f %12.1f %10.1f\n", kernel.name, speeds.decode_gb,
                speeds.eight_gb, speeds.prefill_gop, MeasureRead(arena.get()));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace bramble::kernels

int main(int argc, char** argv) { return bramble::kernels::Main(argc > 1 ? argv[1] : ""); }
