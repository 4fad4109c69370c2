#include "worker/measure.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include "common/files.h"
#include "common/log.h"
#include "common/version.h"
#include "kernels/a8.h"
#include "kernels/encodings/encoding.h"
#include "kernels/matmul.h"
#include "worker/exec/team.h"
#include "worker/facts.h"

namespace bramble::worker {
namespace {

using Clock = std::chrono::steady_clock;

// Larger than the caches of what we run on, unless the machine is small itself.
constexpr std::uint64_t kReadBytes = std::uint64_t{96} << 20;
constexpr std::uint64_t kReadPiece = std::uint64_t{256} << 10;
constexpr std::uint32_t kOutputsOfAThread = 256;  // whole panels
constexpr std::uint32_t kInputs = 1024;
constexpr std::size_t kPrefillRows = 16;
// For each figure; there are about fifty.
constexpr std::chrono::milliseconds kTime{4};
constexpr std::size_t kSpeedFileLimit = std::size_t{64} << 10;

// Memory at a multiple of 64 bytes, filled with a byte that makes a sane number in every encoding:
// neither subnormal nor infinite, which some CPUs take longer over.
class Buffer {
 public:
  explicit Buffer(std::size_t bytes) : storage_(bytes / sizeof(Line) + 1) {
    std::memset(data(), 0x3c, bytes);
  }
  std::byte* data() { return storage_.front().bytes; }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> storage_;
};

// Seconds of one call of `work`, the best of those that kTime has room for (two at least: the first
// warms up).
double BestSeconds(const std::function<void()>& work) {
  const Clock::time_point end = Clock::now() + kTime;
  double best = 0;
  for (int i = 0; i < 2 || Clock::now() < end; ++i) {
    const Clock::time_point start = Clock::now();
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i == 1 || (i > 1 && seconds < best)) best = seconds;
  }
  return std::max(best, 1e-9);
}

// `items` items, each done once by any thread of a team.
class Once : public Team::Work {
 public:
  using Item = std::function<void(std::uint64_t first, std::uint64_t last)>;
  Once(std::uint64_t items, Item item) : items_(items), item_(std::move(item)) {}

  std::uint64_t Next() override { return std::exchange(items_, 0); }
  void Do(std::uint64_t first, std::uint64_t last, int) override { item_(first, last); }

 private:
  std::uint64_t items_;
  const Item item_;
};

std::uint64_t SumWords(const std::byte* data, std::size_t bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + sizeof(std::uint64_t) <= bytes; i += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, sizeof(word));
    sum += word;
  }
  return sum;
}

double ReadSpeed(Team& team, std::uint64_t memory_limit) {
  const std::uint64_t pieces = std::min(kReadBytes, memory_limit / 8) / kReadPiece;
  if (pieces == 0) return 0;
  Buffer buffer(pieces * kReadPiece);
  std::atomic<std::uint64_t> sum = 0;
  const double seconds = BestSeconds([&] {
    Once work(pieces, [&](std::uint64_t first, std::uint64_t last) {
      sum += SumWords(buffer.data() + first * kReadPiece, (last - first) * kReadPiece);
    });
    team.Run(work);
  });
  // Used, so that the loop is not left out.
  return sum == 0 ? 0 : static_cast<double>(pieces * kReadPiece) / seconds;
}

// One matrix in one encoding, and inputs for it.
class Product {
 public:
  Product(const kernels::EncodingInfo& info, const kernels::MatmulKernel& kernel, Team& team)
      : kernel_(kernel), team_(team) {
    shape_.outputs = kOutputsOfAThread * static_cast<std::uint32_t>(team.size());
    shape_.inputs = kInputs;
    kernels::DefaultSegments(&shape_, info.block_values);
    encoded_bytes_ =
        std::uint64_t{shape_.outputs} * (kInputs / info.block_values) * info.block_bytes;
    Buffer rows(encoded_bytes_);
    packed_.emplace(kernel_.packed_bytes(shape_));
    kernel_.pack(shape_, rows.data(), packed_->data(), 0, kernels::Panels(shape_));
    output_.resize(shape_.outputs * kPrefillRows);
    const std::vector<float> values(kInputs, 0.5F);
    const bool a8 = kernel_.form == kernels::InputForm::kA8;
    stride_ = a8 ? kernels::A8RowBytes(kInputs) : kInputs * sizeof(float);
    input_.emplace(stride_ * kPrefillRows);
    for (std::size_t row = 0; row < kPrefillRows; ++row) {
      std::byte* const place = input_->data() + row * stride_;
      if (a8) {
        kernels::QuantizeA8Rows().back().run(values.data(), kInputs, place);
      } else {
        std::memcpy(place, values.data(), stride_);
      }
    }
  }

  double Seconds(std::size_t rows) {
    return BestSeconds([&] {
      Once work(kernels::Panels(shape_),
                [&](std::uint64_t first, std::uint64_t last) { Run(rows, first, last); });
      team_.Run(work);
    });
  }

  std::uint32_t outputs() const { return shape_.outputs; }
  std::uint64_t encoded_bytes() const { return encoded_bytes_; }

 private:
  void Run(std::size_t rows, std::uint64_t first_panel, std::uint64_t last_panel) {
    kernels::MatmulArgs args = {};
    args.shape = &shape_;
    args.packed = packed_->data();
    args.input = input_->data();
    args.input_stride = stride_;
    args.rows = rows;
    args.output = output_.data();
    args.output_stride = shape_.outputs;
    args.first_output = first_panel * kernels::kPanelRows;
    args.last_output = last_panel * kernels::kPanelRows;
    kernel_.run(args);
  }

  const kernels::MatmulKernel& kernel_;
  Team& team_;
  kernels::MatmulShape shape_ = {};
  std::uint64_t encoded_bytes_ = 0;
  std::optional<Buffer> packed_;
  std::optional<Buffer> input_;
  std::size_t stride_ = 0;
  std::vector<float> output_;
};

// What a kept measurement is good for.
std::string KeyOf(const MeasureOptions& options) {
  std::ostringstream key;
  key << "speed 1, version " << kVersion << " cpu " << CpuName() << " threads " << options.threads
      << " features " << options.features << "\n";
  return std::move(key).str();
}

}  // namespace

v1::MeasuredSpeed Measure(const MeasureOptions& options) {
  v1::MeasuredSpeed speed;
  Team team(options.threads);
  speed.set_read_bytes_per_second(ReadSpeed(team, options.memory_limit));
  for (const kernels::EncodingInfo& info : kernels::Encodings()) {
    const auto form = info.takes_a8 ? kernels::InputForm::kA8 : kernels::InputForm::kF32;
    const kernels::MatmulKernel* kernel =
        kernels::FindMatmul(info.encoding, form, options.features);
    if (kernel == nullptr || kInputs % info.block_values != 0) continue;
    Product product(info, *kernel, team);
    v1::EncodingSpeed& row = *speed.add_encodings();
    row.set_encoding(static_cast<std::uint32_t>(info.encoding));
    const auto bytes = static_cast<double>(product.encoded_bytes());
    double decode = bytes / product.Seconds(1);
    // This matrix may lie in a cache; a model's do not.
    if (speed.read_bytes_per_second() > 0) decode = std::min(decode, speed.read_bytes_per_second());
    row.set_decode_bytes_per_second(decode);
    row.set_prefill_operations_per_second(2.0 * product.outputs() * kInputs * kPrefillRows /
                                          product.Seconds(kPrefillRows));
  }
  return speed;
}

v1::MeasuredSpeed MeasureOnce(const MeasureOptions& options, const std::string& path) {
  const std::string key = KeyOf(options);
  v1::MeasuredSpeed speed;
  const auto kept = ReadSmallFile(path, kSpeedFileLimit);
  if (kept.ok() && kept->starts_with(key) && speed.ParseFromString(kept->substr(key.size()))) {
    return speed;
  }
  const Clock::time_point start = Clock::now();
  speed = Measure(options);
  LogInfo("measured this machine",
          {{"seconds", std::chrono::duration<double>(Clock::now() - start).count()},
           {"read_bytes_per_second", speed.read_bytes_per_second()}});
  const Status status = WriteFileAtomically(path, key + speed.SerializeAsString());
  if (!status.ok()) LogFailure("the measurement is not kept", status);
  return speed;
}

}  // namespace bramble::worker
