#include "worker/measure.h"

#include <gtest/gtest.h>

#include <fstream>

#include "common/files.h"
#include "kernels/encodings/encoding.h"

namespace bramble::worker {
namespace {

constexpr std::uint64_t kMemory = std::uint64_t{256} << 20;

TEST(Measure, HasAFigureForEveryEncoding) {
  const v1::MeasuredSpeed speed =
      Measure({.threads = 2, .features = kernels::ThisCpu(), .memory_limit = kMemory});
  EXPECT_GT(speed.read_bytes_per_second(), 1e8);
  ASSERT_EQ(static_cast<std::size_t>(speed.encodings_size()), kernels::Encodings().size());
  for (const v1::EncodingSpeed& row : speed.encodings()) {
    EXPECT_GT(row.decode_bytes_per_second(), 1e5) << row.encoding();
    EXPECT_LE(row.decode_bytes_per_second(), speed.read_bytes_per_second()) << row.encoding();
    EXPECT_GT(row.prefill_operations_per_second(), 1e6) << row.encoding();
  }
}

TEST(Measure, KeepsWhatItFoundForTheSameMachineOnly) {
  const auto folder = TemporaryFolder::Make();
  ASSERT_TRUE(folder.ok());
  const std::string path = folder->path() + "/speed";
  const MeasureOptions options = {
      .threads = 1, .features = kernels::kNothing, .memory_limit = kMemory};
  const std::string first = MeasureOnce(options, path).SerializeAsString();
  EXPECT_EQ(MeasureOnce(options, path).SerializeAsString(), first);
  MeasureOptions other = options;
  other.threads = 2;
  EXPECT_NE(MeasureOnce(other, path).SerializeAsString(), first);
  std::ofstream(path) << "nonsense";
  EXPECT_GT(MeasureOnce(options, path).read_bytes_per_second(), 0);
}

}  // namespace
}  // namespace bramble::worker
