// Operations along a sequence: every variant against the portable one, and that against double.
#include "kernels/sequence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernels/kernels_helpers.h"

namespace bramble::kernels {
namespace {

using testing::Bits;
using testing::RandomFloats;

constexpr std::size_t kWidths[] = {1, 3, 7, 8, 9, 16, 31, 64};

template <typename Function, typename Check>
void ForEachRow(Rows<Function> rows, const Check& check) {
  ASSERT_FALSE(rows.empty());
  EXPECT_EQ(rows.back().needs, kNothing);
  for (const Row<Function>& row : rows) {
    SCOPED_TRACE(row.name);
    if (!Has(ThisCpu(), row.needs)) {
      std::printf("skipped: this CPU cannot run %s\n", row.name);
      continue;
    }
    check(row.run);
  }
}

TEST(Convolution, IsTheSumOfItsTapsWithEveryRow) {
  testing::Random random(1);
  for (const std::size_t n : kWidths) {
    for (const std::size_t taps : {2U, 3U, 4U, 7U}) {
      const std::size_t stride = n + 5;
      const std::vector<float> weights = RandomFloats(random, taps * stride);
      const std::vector<float> bias = RandomFloats(random, n);
      const std::vector<float> x = RandomFloats(random, taps * n);
      std::vector<const float*> rows;
      for (std::size_t j = 0; j < taps; ++j) rows.push_back(x.data() + j * n);
      const auto run = [&](ConvolutionFn function, const float* b) {
        std::vector<float> y(n);
        function({rows.data(), taps, weights.data(), stride, b, n, y.data()});
        return y;
      };
      const ConvolutionFn portable = ConvolutionRows().back().run;
      const std::vector<float> expected = run(portable, bias.data());
      for (std::size_t i = 0; i < n; ++i) {
        double sum = bias[i];
        for (std::size_t j = 0; j < taps; ++j) {
          sum += static_cast<double>(weights[j * stride + i]) * x[j * n + i];
        }
        EXPECT_NEAR(expected[i], sum, 1e-5);
      }
      ForEachRow(ConvolutionRows(), [&](ConvolutionFn function) {
        EXPECT_EQ(Bits(run(function, bias.data())), Bits(expected));
        EXPECT_EQ(Bits(run(function, nullptr)), Bits(run(portable, nullptr)));
      });
    }
  }
}

// Inputs of a state space, with steps and decays as models have them.
struct Space {
  Space(testing::Random& random, std::size_t columns, std::size_t state_size, bool is_dual)
      : n(columns),
        size(state_size),
        dual(is_dual),
        x(RandomFloats(random, n)),
        step(RandomFloats(random, dual ? 1 : n)),
        decay(RandomFloats(random, dual ? 1 : n * size)),
        skip(RandomFloats(random, dual ? 1 : n)),
        b(RandomFloats(random, size)),
        c(RandomFloats(random, size)),
        state(RandomFloats(random, n * size)) {
    for (float& value : step) value = std::fabs(value);
    for (float& value : decay) value = -std::exp(value);
  }

  // The row's output, and behind it the state that it leaves.
  std::vector<float> Run(StateSpaceFn function) const {
    std::vector<float> left = state;
    std::vector<float> y(n);
    StateSpaceArgs args{};
    args.x = x.data();
    args.step = step.data();
    args.decay = decay.data();
    args.skip = skip.data();
    args.b = b.data();
    args.c = c.data();
    args.n = n;
    args.state_size = size;
    args.state = left.data();
    args.y = y.data();
    function(args);
    y.insert(y.end(), left.begin(), left.end());
    return y;
  }

  std::vector<double> InDouble() const {
    std::vector<double> y;
    std::vector<double> left;
    for (std::size_t i = 0; i < n; ++i) {
      const double d = step[dual ? 0 : i];
      double sum = static_cast<double>(skip[dual ? 0 : i]) * x[i];
      for (std::size_t s = 0; s < size; ++s) {
        const double factor = std::exp(d * decay[dual ? 0 : i * size + s]);
        left.push_back(factor * state[i * size + s] + d * x[i] * b[s]);
        sum += left.back() * c[s];
      }
      y.push_back(sum);
    }
    y.insert(y.end(), left.begin(), left.end());
    return y;
  }

  std::size_t n;
  std::size_t size;
  bool dual;
  std::vector<float> x, step, decay, skip, b, c, state;
};

TEST(StateSpace, GivesTheSameBitsWithEveryRowAndIsCloseToDouble) {
  testing::Random random(2);
  for (const bool dual : {false, true}) {
    const Rows<StateSpaceFn> rows = dual ? StateSpaceDualRows() : SelectiveScanRows();
    for (const std::size_t size : {1U, 5U, 8U, 13U, 16U, 20U, 64U}) {
      const Space space(random, 9, size, dual);
      const std::vector<float> expected = space.Run(rows.back().run);
      const std::vector<double> truth = space.InDouble();
      for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(expected[i], truth[i], 1e-4);
      ForEachRow(rows, [&](StateSpaceFn function) {
        EXPECT_EQ(Bits(space.Run(function)), Bits(expected));
      });
    }
  }
}

// Rows of a sequence, and what a row's output is in exact arithmetic: the average of all values
// before it with the weights exp(k + age * decay), and its own with exp(k + first).
TEST(Wkv, IsTheDecayingAverageWithEveryRow) {
  constexpr std::size_t kRows = 6;
  testing::Random random(3);
  for (const std::size_t n : kWidths) {
    const std::vector<float> k = RandomFloats(random, kRows * n, 3);
    const std::vector<float> v = RandomFloats(random, kRows * n);
    std::vector<float> decay = RandomFloats(random, n);
    for (float& value : decay) value = -std::exp(value);
    const std::vector<float> first = RandomFloats(random, n);
    const auto run = [&](WkvFn function) {
      std::vector<float> numerator(n);
      std::vector<float> denominator(n);
      std::vector<float> maximum(n, kWkvFirstMaximum);
      std::vector<float> y(kRows * n);
      for (std::size_t t = 0; t < kRows; ++t) {
        function({k.data() + t * n, v.data() + t * n, decay.data(), first.data(), n,
                  numerator.data(), denominator.data(), maximum.data(), y.data() + t * n});
      }
      return y;
    };
    const std::vector<float> expected = run(WkvRows().back().run);
    for (std::size_t t = 0; t < kRows; ++t) {
      for (std::size_t i = 0; i < n; ++i) {
        double weight = std::exp(static_cast<double>(k[t * n + i]) + first[i]);
        double sum = weight * v[t * n + i];
        double total = weight;
        for (std::size_t s = 0; s < t; ++s) {
          weight = std::exp(k[s * n + i] + static_cast<double>(t - s - 1) * decay[i]);
          sum += weight * v[s * n + i];
          total += weight;
        }
        EXPECT_NEAR(expected[t * n + i], sum / total, 1e-5);
      }
    }
    ForEachRow(WkvRows(), [&](WkvFn function) { EXPECT_EQ(Bits(run(function)), Bits(expected)); });
  }
}

}  // namespace
}  // namespace bramble::kernels
