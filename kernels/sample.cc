#include "kernels/sample.h"

#include <algorithm>
#include <cmath>

#include "kernels/math.h"

namespace bramble::kernels {
namespace {

constexpr double kWeightUnit = 0x1p43;

// Falling logit, ties by rising id: a total order, so that no sort can choose another.
bool Before(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// floor(total * fraction / 2^64) without 128-bit numbers.
std::uint64_t Part(std::uint64_t total, std::uint64_t fraction) {
  constexpr std::uint64_t kLow = 0xffffffffU;
  const std::uint64_t low = (total & kLow) * (fraction & kLow);
  const std::uint64_t middle1 = (total >> 32U) * (fraction & kLow) + (low >> 32U);
  const std::uint64_t middle2 = (total & kLow) * (fraction >> 32U) + (middle1 & kLow);
  return (total >> 32U) * (fraction >> 32U) + (middle1 >> 32U) + (middle2 >> 32U);
}

std::uint64_t TotalWeight(std::span<const Candidate> candidates) {
  std::uint64_t total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  return total;
}

// Candidates whose beginning is sorted; the rest follows, in no order. Sorting as far as somebody
// looks makes a draw from a large vocabulary cheap: it seldom looks far.
class LazyOrder {
 public:
  explicit LazyOrder(std::span<Candidate> candidates) : candidates_(candidates) {}

  const Candidate& At(std::size_t index) {
    if (index >= sorted_) Extend(index + 1);
    return candidates_[index];
  }

  void Extend(std::size_t count) {
    const std::size_t wanted = std::min(candidates_.size(), std::max(count, 4 * sorted_ + 64));
    const auto begin = candidates_.begin();
    const auto from = begin + static_cast<std::ptrdiff_t>(sorted_);
    const auto to = begin + static_cast<std::ptrdiff_t>(wanted);
    if (to != candidates_.end()) std::nth_element(from, to, candidates_.end(), Before);
    std::sort(from, to, Before);
    sorted_ = wanted;
  }

 private:
  std::span<Candidate> candidates_;
  std::size_t sorted_ = 0;
};

// Fills scratch with the candidates that temperature and min-p leave, in rising id.
std::span<Candidate> Weigh(std::span<const float> logits, const SamplingRule& rule,
                           std::span<Candidate> scratch) {
  float largest = -INFINITY;
  for (const float logit : logits) largest = std::max(largest, logit / rule.temperature);
  const double least = static_cast<double>(rule.min_p);
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float logit = logits[i] / rule.temperature;
    const double difference = static_cast<double>(logit) - static_cast<double>(largest);
    // The largest itself, also when all are minus infinity and the difference is not a number.
    const double relative = logit == largest ? 1.0 : Exp(difference);
    if (relative < least) continue;
    scratch[count++] = {logit, static_cast<std::uint32_t>(i),
                        static_cast<std::uint64_t>(relative * kWeightUnit)};
  }
  return scratch.first(count);
}

// How many of the ordered candidates top-p keeps: the shortest beginning that holds at least the
// share p of the total.
std::size_t TopP(LazyOrder* order, std::size_t count, std::uint64_t total, float p) {
  if (p >= 1.0F) return count;
  const double wanted = static_cast<double>(p) * static_cast<double>(total);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) {
    sum += order->At(i).weight;
    if (static_cast<double>(sum) >= wanted) return i + 1;
  }
  return count;
}

// The candidates that remain, ordered as far as `order` has been asked.
std::span<Candidate> Restrict(std::span<Candidate> candidates, const SamplingRule& rule,
                              LazyOrder* order) {
  std::size_t count = candidates.size();
  if (rule.top_k > 0 && rule.top_k < count) {
    count = rule.top_k;
    order->Extend(count);
  }
  return candidates.first(TopP(order, count, TotalWeight(candidates.first(count)), rule.top_p));
}

struct Philox {
  std::uint32_t counter[4];
  std::uint32_t key[2];

  void Round() {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * counter[2];
    const std::uint32_t next[4] = {
        static_cast<std::uint32_t>(b >> 32U) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32U) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    std::copy(next, next + 4, counter);
    key[0] += 0x9E3779B9U;
    key[1] += 0xBB67AE85U;
  }
};

}  // namespace

void AdjustLogits(std::span<float> logits, std::span<const LogitBias> biases,
                  std::span<const std::uint32_t> forbidden, const Penalties& penalties,
                  std::span<const SeenId> seen) {
  for (const LogitBias& bias : biases) logits[bias.id] += bias.value;
  for (const std::uint32_t id : forbidden) logits[id] = -INFINITY;
  for (const SeenId& token : seen) {
    float& x = logits[token.id];
    if (penalties.repetition != 1.0F) {
      x = x > 0.0F ? x / penalties.repetition : x * penalties.repetition;
    }
    if (token.outputs == 0) continue;
    if (penalties.frequency != 0.0F) x -= static_cast<float>(token.outputs) * penalties.frequency;
    if (penalties.presence != 0.0F) x -= penalties.presence;
  }
}

std::uint32_t Greedy(std::span<const float> logits) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best]) best = i;
  }
  return static_cast<std::uint32_t>(best);
}

std::span<const Candidate> Keep(std::span<const float> logits, const SamplingRule& rule,
                                std::span<Candidate> scratch) {
  const std::span<Candidate> weighed = Weigh(logits, rule, scratch);
  LazyOrder order(weighed);
  order.Extend(weighed.size());
  return Restrict(weighed, rule, &order);
}

std::uint32_t Draw(std::span<const float> logits, const SamplingRule& rule, std::uint64_t seed,
                   std::uint64_t output_position, std::span<Candidate> scratch) {
  if (rule.temperature == 0.0F) return Greedy(logits);
  const std::span<Candidate> weighed = Weigh(logits, rule, scratch);
  LazyOrder order(weighed);
  const std::span<Candidate> kept = Restrict(weighed, rule, &order);
  const std::uint64_t goal = Part(TotalWeight(kept), UniformBits(seed, output_position));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const Candidate& candidate = order.At(i);
    sum += candidate.weight;
    if (sum > goal) return candidate.id;
  }
  return order.At(0).id;
}

std::uint64_t UniformBits(std::uint64_t seed, std::uint64_t output_position) {
  Philox philox = {{static_cast<std::uint32_t>(output_position),
                    static_cast<std::uint32_t>(output_position >> 32U), 0, 0},
                   {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32U)}};
  for (int round = 0; round < 10; ++round) philox.Round();
  return static_cast<std::uint64_t>(philox.counter[1]) << 32U | philox.counter[0];
}

double LogSumExp(std::span<const float> logits) {
  const auto largest = static_cast<double>(logits[Greedy(logits)]);
  double sum = 0;
  for (const float logit : logits) sum += Exp(static_cast<double>(logit) - largest);
  return largest + Log(sum);
}

std::size_t TopLogits(std::span<const float> logits, std::span<std::uint32_t> top) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (count == top.size()) {
      if (count == 0 || !(logits[i] > logits[top[count - 1]])) continue;
      --count;
    }
    // Insertion: equal logits keep the lower id, which came first, before.
    std::size_t place = count++;
    for (; place > 0 && logits[i] > logits[top[place - 1]]; --place) top[place] = top[place - 1];
    top[place] = static_cast<std::uint32_t>(i);
  }
  return count;
}

}  // namespace bramble::kernels
