// From logits to ids and log-probabilities. Definitions and the order of the steps:
// docs/arithmetic.md.
//
// The steps of one output, in this order:
//   1. log-probabilities to report, from the raw logits: LogSumExp, TopLogits
//   2. on a copy of the logits: AdjustLogits (bias, forbidden ids, penalties)
//   3. Draw (temperature, min-p, top-k, top-p, draw; greedy at temperature 0)
// Nothing depends on the batch or on other sequences. All functions are pure: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bramble::kernels {

struct LogitBias {
  std::uint32_t id;
  float value;
};

// An id of the sequence's history (prompt or output). Each distinct id is listed once, in any
// order.
struct SeenId {
  std::uint32_t id;
  std::uint32_t outputs;  // how often among the outputs; 0: only in the prompt
};

struct Penalties {
  float repetition = 1;  // > 0; x / r if x > 0, else x * r, for every seen id
  float frequency = 0;   // subtracted once for each time among the outputs
  float presence = 0;    // subtracted once if among the outputs
};

// Adds the biases (in their order), sets forbidden ids to minus infinity, then applies the
// penalties: repetition, frequency, presence. Ids must be below logits.size().
void AdjustLogits(std::span<float> logits, std::span<const LogitBias> biases,
                  std::span<const std::uint32_t> forbidden, const Penalties& penalties,
                  std::span<const SeenId> seen);

struct SamplingRule {
  float temperature =
      1;            // >= 0; 0: the largest logit, ties to the lowest id, nothing else is looked at
  float min_p = 0;  // 0 .. 1; 0: off
  std::uint32_t top_k = 0;  // 0: off
  float top_p = 1;          // 0 .. 1; 1: off
};

// An id that may still be drawn. Probability = weight / (sum of the weights kept).
struct Candidate {
  float logit;  // after temperature
  std::uint32_t id;
  std::uint64_t weight;  // exp(logit - largest logit) in units of 2^-43
};

// The first largest logit's id. Requires at least one logit, none of them NaN; if all are minus
// infinity: 0.
std::uint32_t Greedy(std::span<const float> logits);

// What temperature, min-p, top-k and top-p leave of the logits (at most 2^20), in the order of the
// draw: falling logit, ties by rising id. scratch: logits.size() entries; the answer lies in it.
// rule.temperature > 0.
std::span<const Candidate> Keep(std::span<const float> logits, const SamplingRule& rule,
                                std::span<Candidate> scratch);

// The id for the output at `output_position` (any numbering that counts each output of the sequence
// once; the executor uses the position of the row) of a request with this seed. scratch as for
// Keep; unused at temperature 0. It takes the same id as a walk over Keep's answer, but sorts only
// as far as it must.
std::uint32_t Draw(std::span<const float> logits, const SamplingRule& rule, std::uint64_t seed,
                   std::uint64_t output_position, std::span<Candidate> scratch);

// The uniform number behind a draw, as a fraction of 2^64: Philox4x32-10 with key = seed and
// counter = output position.
std::uint64_t UniformBits(std::uint64_t seed, std::uint64_t output_position);

// log(sum of exp(logits)): in double, summed in rising id. The log-probability of id i is
// double(logits[i]) - LogSumExp.
double LogSumExp(std::span<const float> logits);

// The ids of the `top.size()` largest logits, falling; ties by rising id. If there are fewer
// logits, that many are written. Returns how many.
std::size_t TopLogits(std::span<const float> logits, std::span<std::uint32_t> top);

}  // namespace bramble::kernels
