#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/convert.h"
#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::Bits;
using testing::RandomFloats;

// The columns of the table below, in an order to read.
struct Case {  // NOLINT(clang-analyzer-optin.performance.Padding): not an order to pack
  const char* name;
  std::size_t group = 1;
  std::size_t key_dim = 64;
  std::size_t value_dim = 64;
  std::size_t page_positions = 16;
  std::uint32_t first = 0;
  std::uint32_t last = 1;
  Encoding encoding = Encoding::kF16;
  float soft_cap = 0;
  bool slopes = false;
  bool buckets = false;
  bool sinks = false;
};

constexpr Case kCases[] = {
    {"one position"},
    {"a few positions", 3, 64, 64, 16, 0, 5},
    {"a whole chunk", 3, 64, 64, 16, 0, 256},
    {"two chunks", 2, 64, 64, 32, 0, 257},
    {"many chunks", 1, 32, 32, 16, 0, 1000},
    {"a window across a border", 4, 64, 64, 16, 250, 300},
    {"a window in one chunk", 1, 64, 64, 16, 260, 300},
    {"a window that begins at a border", 5, 16, 16, 8, 256, 513},
    {"large heads", 4, 256, 256, 16, 3, 300},
    {"other sizes of values", 2, 40, 24, 16, 0, 77},
    {"sizes that are no multiple of 16", 3, 13, 7, 5, 2, 290},
    {"tiny heads", 2, 1, 1, 7, 0, 33},
    {"floats", 3, 64, 64, 16, 0, 300, Encoding::kF32},
    {"floats with tails", 2, 19, 21, 16, 9, 300, Encoding::kF32},
    {"soft cap", 2, 64, 64, 16, 0, 300, Encoding::kF16, 5.0F},
    {"slopes", 3, 64, 64, 16, 0, 300, Encoding::kF16, 0, true},
    {"buckets", 3, 64, 64, 16, 0, 300, Encoding::kF16, 0, false, true},
    {"sinks", 3, 64, 64, 16, 0, 300, Encoding::kF16, 0, false, false, true},
    {"everything", 9, 64, 64, 16, 100, 700, Encoding::kF32, 20.0F, true, true, true},
    {"pages larger than chunks", 2, 64, 64, 600, 0, 1300},
    {"nothing", 2, 64, 64, 16, 5, 5},
};

// A cache with two heads a position, of which the second is read, and keys before values.
class Cache {
 public:
  Cache(testing::Random& random, const Case& c) : case_(c) {
    const std::size_t pages = c.last / c.page_positions + 1;
    number_ = c.encoding == Encoding::kF16 ? 2 : 4;
    const std::size_t stride = 2 * (c.key_dim + c.value_dim) * number_;
    for (std::size_t p = 0; p < pages; ++p) {
      const auto x = RandomFloats(random, c.page_positions * stride / number_, 1.0F);
      storage_.emplace_back(c.page_positions * stride);
      for (std::size_t i = 0; i < x.size(); ++i) Store(x[i], storage_.back().data() + i * number_);
    }
    for (std::size_t p = 0; p < pages; ++p) {
      // Pages before the first position seen are gone.
      const bool gone = (p + 1) * c.page_positions <= c.first;
      pages_.push_back(gone ? nullptr : storage_[p].data());
    }
    queries_ = RandomFloats(random, c.group * c.key_dim, 1.0F);
    slopes_ = RandomFloats(random, c.group, 0.01F);
    sinks_ = RandomFloats(random, c.group, 2.0F);
    bias_ = RandomFloats(random, std::size_t{16} * c.group, 1.0F);
    for (std::size_t i = 0; i < 2 * kReach + 1; ++i) ids_.push_back(static_cast<float>(i % 8));
  }

  AttentionArgs Args() {
    const std::size_t stride = 2 * (case_.key_dim + case_.value_dim) * number_;
    output_.assign(case_.group * case_.value_dim + 1, 77.0F);
    scratch_.assign(AttentionScratchFloats(case_.group, case_.value_dim) + 1, 0.0F);
    AttentionArgs args{};
    args.queries = queries_.data();
    args.group = case_.group;
    args.key_dim = case_.key_dim;
    args.value_dim = case_.value_dim;
    args.pages = pages_.data();
    args.page_positions = case_.page_positions;
    args.encoding = case_.encoding;
    args.key_offset = case_.key_dim * number_;
    args.key_stride = stride;
    args.value_offset = (2 * case_.key_dim + case_.value_dim) * number_;
    args.value_stride = stride;
    args.first = case_.first;
    args.last = case_.last;
    args.query_position = case_.last - 1;
    args.scale = 1.0F / std::sqrt(static_cast<float>(case_.key_dim));
    args.soft_cap = case_.soft_cap;
    if (case_.slopes) args.slopes = slopes_.data();
    if (case_.sinks) args.sinks = sinks_.data();
    if (case_.buckets) {
      args.bucket_bias = bias_.data() + case_.group;
      args.bucket_ids = ids_.data();
      args.bucket_stride = 2 * case_.group;
      args.reach = kReach;
    }
    args.output = output_.data();
    args.scratch = scratch_.data();
    return args;
  }

  std::vector<float> Run(AttentionFn run) {
    run(Args());
    EXPECT_EQ(output_.back(), 77.0F);
    return {output_.begin(), output_.end() - 1};
  }

  double Key(std::uint32_t position, std::size_t i) const {
    return Load(position, case_.key_dim + i);
  }
  double Value(std::uint32_t position, std::size_t i) const {
    return Load(position, 2 * case_.key_dim + case_.value_dim + i);
  }
  double Query(std::size_t head, std::size_t i) const {
    return static_cast<double>(queries_[head * case_.key_dim + i]);
  }
  double Bias(std::size_t head, std::int64_t distance) const {
    double bias =
        case_.slopes ? static_cast<double>(slopes_[head]) * static_cast<double>(distance) : 0;
    if (case_.buckets) {
      const auto near = std::clamp<std::int64_t>(distance, -kReach, kReach) + kReach;
      const auto bucket = static_cast<std::size_t>(ids_[static_cast<std::size_t>(near)]);
      bias += static_cast<double>(bias_[case_.group + bucket * 2 * case_.group + head]);
    }
    return bias;
  }
  double Sink(std::size_t head) const { return static_cast<double>(sinks_[head]); }

 private:
  static constexpr std::int64_t kReach = 20;

  void Store(float value, std::byte* to) const {
    const std::uint16_t half = FloatToHalf(value);
    if (number_ == 2) std::memcpy(to, &half, 2);
    if (number_ == 4) std::memcpy(to, &value, 4);
  }
  double Load(std::uint32_t position, std::size_t i) const {
    const std::size_t stride = 2 * (case_.key_dim + case_.value_dim);
    const std::byte* from = storage_[position / case_.page_positions].data() +
                            (position % case_.page_positions * stride + i) * number_;
    std::uint16_t half = 0;
    float value = 0;
    if (number_ == 4) std::memcpy(&value, from, 4);
    if (number_ == 2) std::memcpy(&half, from, 2);
    return static_cast<double>(number_ == 4 ? value : HalfToFloat(half));
  }

  const Case& case_;
  std::size_t number_ = 2;
  std::vector<std::vector<std::byte>> storage_;
  std::vector<const std::byte*> pages_;
  std::vector<float> queries_, slopes_, sinks_, bias_, ids_, output_, scratch_;
};

// The plain formula in double.
std::vector<double> Truth(const Cache& cache, const Case& c) {
  std::vector<double> out(c.group * c.value_dim);
  for (std::size_t h = 0; h < c.group && c.first < c.last; ++h) {
    std::vector<double> scores;
    for (std::uint32_t p = c.first; p < c.last; ++p) {
      double score = 0;
      for (std::size_t i = 0; i < c.key_dim; ++i) score += cache.Query(h, i) * cache.Key(p, i);
      score /= std::sqrt(static_cast<double>(c.key_dim));
      const auto cap = static_cast<double>(c.soft_cap);
      if (cap != 0) score = cap * std::tanh(score / cap);
      scores.push_back(score + cache.Bias(h, std::int64_t{p} - (c.last - 1)));
    }
    double total = c.sinks ? std::exp(cache.Sink(h)) : 0;
    for (const double score : scores) total += std::exp(score);
    for (std::uint32_t p = c.first; p < c.last; ++p) {
      const double weight = std::exp(scores[p - c.first]) / total;
      for (std::size_t d = 0; d < c.value_dim; ++d)
        out[h * c.value_dim + d] += weight * cache.Value(p, d);
    }
  }
  return out;
}

TEST(Attention, PortableRowIsCloseToDouble) {
  testing::Random random(31);
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Cache cache(random, c);
    const auto actual = cache.Run(AttentionRows().back().run);
    const auto expected = Truth(cache, c);
    for (std::size_t i = 0; i < actual.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(actual[i]), expected[i], 3e-6) << i;
    }
  }
}

TEST(Attention, EveryRowGivesThePortableBits) {
  testing::Random random(32);
  for (const Row<AttentionFn>& row : AttentionRows()) {
    if (!Has(ThisCpu(), row.needs)) {
      std::printf("skipped: this CPU cannot run %s\n", row.name);
      continue;
    }
    for (const Case& c : kCases) {
      SCOPED_TRACE(c.name);
      Cache cache(random, c);
      const auto expected = cache.Run(AttentionRows().back().run);
      ASSERT_EQ(Bits(cache.Run(row.run)), Bits(expected)) << row.name;
    }
  }
}

TEST(Attention, DoesNotDependOnThePagesOrTheGroup) {
  for (const Row<AttentionFn>& row : AttentionRows()) {
    if (!Has(ThisCpu(), row.needs)) continue;
    constexpr Case kSmall{"small pages", 4, 64, 64, 8, 3, 600};
    constexpr Case kLarge{"large pages", 4, 64, 64, 1024, 3, 600};
    // One page of 1024 positions holds the numbers of 128 pages of 8 in the same order.
    testing::Random first(33);
    Cache small(first, kSmall);
    AttentionArgs args = small.Args();
    std::vector<std::byte> joined(1024 * args.key_stride);
    for (std::size_t p = 0; p <= 75; ++p) {
      if (args.pages[p] == nullptr) continue;
      std::memcpy(joined.data() + p * 8 * args.key_stride, args.pages[p], 8 * args.key_stride);
    }
    row.run(args);
    const std::vector<float> expected(args.output, args.output + 256);
    const std::byte* page = joined.data();
    args.pages = &page;
    args.page_positions = kLarge.page_positions;
    row.run(args);
    EXPECT_EQ(Bits({args.output, 256}), Bits(expected));
    for (std::size_t h = 0; h < 4; ++h) {
      AttentionArgs one = args;
      one.group = 1;
      one.queries = args.queries + h * 64;
      std::vector<float> out(64);
      one.output = out.data();
      row.run(one);
      EXPECT_EQ(Bits(out), Bits({expected.data() + h * 64, 64}));
    }
  }
}

}  // namespace
}  // namespace bramble::kernels
