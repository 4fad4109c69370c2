#include "worker/exec/sampler.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "kernels/convert.h"
#include "kernels/sample.h"
#include "proto/program/memory.h"

namespace bramble::worker {
namespace {

static_assert(sizeof(kernels::Candidate) == 16);
static_assert(sizeof(kernels::SeenId) == 8);

constexpr std::size_t kMostTop = 20;

// Scratch of one sampler, cut from program::SamplerBytes. `place` is all 0 between uses.
struct Scratch {
  std::span<kernels::Candidate> candidates;
  std::span<float> logits;
  std::span<std::uint32_t> place;  // [id]: 1 + its index in `seen`
  std::span<kernels::SeenId> seen;
};

Scratch CutScratch(std::byte* memory, std::size_t ids, std::size_t context) {
  Scratch scratch;
  scratch.candidates = {reinterpret_cast<kernels::Candidate*>(memory), ids};
  memory += scratch.candidates.size_bytes();
  scratch.logits = {reinterpret_cast<float*>(memory), ids};
  memory += scratch.logits.size_bytes();
  scratch.place = {reinterpret_cast<std::uint32_t*>(memory), ids};
  memory += scratch.place.size_bytes();
  scratch.seen = {reinterpret_cast<kernels::SeenId*>(memory), context};
  return scratch;
}

// Each distinct id of the history below `limit` once, with its count among the outputs.
std::span<const kernels::SeenId> ListSeen(std::span<const std::uint32_t> ids,
                                          std::uint32_t prompt_ids, std::size_t limit,
                                          const Scratch& scratch) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= limit) continue;
    std::uint32_t& place = scratch.place[ids[i]];
    if (place == 0) {
      scratch.seen[count] = {ids[i], 0};
      place = static_cast<std::uint32_t>(++count);
    }
    if (i >= prompt_ids) ++scratch.seen[place - 1].outputs;
  }
  for (const kernels::SeenId& seen : scratch.seen.first(count)) scratch.place[seen.id] = 0;
  return scratch.seen.first(count);
}

class SampleTask final : public Task {
 public:
  SampleTask(const Binder& binder, std::uint32_t index)
      : index_(index),
        logits_(binder.Input(binder.schedule.nodes[index], 0)),
        samplers_(binder.samplers),
        sampler_count_(binder.sampler_count),
        sampler_bytes_(program::SamplerBytes(binder.program)),
        vocabulary_(binder.program.vocabulary_size()),
        context_(binder.program.context_length()) {
    const std::uint32_t limit = binder.OperationOf(binder.schedule.nodes[index]).sample().limit();
    drawn_ = limit == 0 ? vocabulary_ : limit;
  }

  std::uint64_t Items(const StepContext& step) const override {
    return std::min(sampler_count_, step.outputs.size());
  }

  void Run(const StepContext& step, std::uint64_t first, std::uint64_t last, int) const override {
    for (std::uint64_t sampler = first; sampler < last; ++sampler) {
      const Scratch scratch =
          CutScratch(samplers_ + sampler * sampler_bytes_, vocabulary_, context_);
      for (std::size_t i = sampler; i < step.outputs.size(); i += sampler_count_) {
        Answer(step, i, scratch);
      }
    }
  }

 private:
  void Answer(const StepContext& step, std::size_t index, const Scratch& scratch) const {
    const std::span<const float> all(logits_.row(index), vocabulary_);
    if (!kernels::AllFinite(all.data(), all.size())) {
      step.fault->Report(index_, static_cast<std::uint32_t>(index));
      return;
    }
    const OutputRow& output = step.outputs[index];
    const Row& row = step.rows[output.row];
    v1::OutputResult& result = step.results[index];
    result.set_sequence(row.sequence);
    result.set_position(row.position);
    const v1::Output& wish = *output.wish;
    if (wish.logits()) {
      result.set_logits(all.data(), all.size_bytes());
    }
    const std::span<const float> logits = all.first(drawn_);
    if (wish.draw()) result.set_id(Draw(step, row, logits, scratch));
    if (wish.top() > 0 || wish.has_target() || (wish.draw() && wish.logprob())) {
      Report(wish, logits, all, result);
    }
  }

  // Log-probabilities, of the raw logits.
  static void Report(const v1::Output& wish, std::span<const float> logits,
                     std::span<const float> all, v1::OutputResult& result) {
    const double total = kernels::LogSumExp(logits);
    if (wish.draw() && wish.logprob()) result.set_logprob(double{all[result.id()]} - total);
    if (wish.has_target()) result.set_target_logprob(double{all[wish.target()]} - total);
    std::array<std::uint32_t, kMostTop> ids{};
    const std::size_t count = kernels::TopLogits(
        logits, std::span(ids).first(std::min<std::size_t>(wish.top(), kMostTop)));
    for (std::size_t i = 0; i < count; ++i) {
      v1::TopEntry& entry = *result.add_top();
      entry.set_id(ids[i]);
      entry.set_logprob(double{all[ids[i]]} - total);
    }
  }

  std::uint32_t Draw(const StepContext& step, const Row& row, std::span<const float> logits,
                     const Scratch& scratch) const {
    const Sequence& sequence = step.sequences->at(row.sequence);
    const v1::Sampling& sampling = sequence.sampling;
    kernels::Penalties penalties;
    penalties.repetition = sampling.repetition_penalty();
    penalties.presence = sampling.presence_penalty();
    penalties.frequency = sampling.frequency_penalty();
    const bool penalized =
        penalties.repetition != 1 || penalties.presence != 0 || penalties.frequency != 0;
    // What has been put out before the id that is drawn now.
    const std::uint32_t known = row.position + 1;
    const std::uint32_t put_out = known > sequence.prompt_ids ? known - sequence.prompt_ids : 0;
    const bool forbids =
        put_out < sampling.minimum_outputs() && sampling.ids_after_minimum_size() > 0;
    if (penalized || forbids || sampling.bias_size() > 0) {
      logits = Adjust(sequence, known, penalized, forbids, penalties, logits, scratch);
    }
    kernels::SamplingRule rule;
    rule.temperature = sampling.temperature();
    rule.min_p = sampling.min_p();
    rule.top_k = sampling.top_k();
    rule.top_p = sampling.top_p();
    return kernels::Draw(logits, rule, sampling.seed(), row.position, scratch.candidates);
  }

  std::span<const float> Adjust(const Sequence& sequence, std::uint32_t known, bool penalized,
                                bool forbids, const kernels::Penalties& penalties,
                                std::span<const float> logits, const Scratch& scratch) const {
    const v1::Sampling& sampling = sequence.sampling;
    const std::span<float> adjusted = scratch.logits.first(logits.size());
    std::copy(logits.begin(), logits.end(), adjusted.begin());
    std::vector<kernels::LogitBias> biases;
    for (const v1::LogitBias& bias : sampling.bias()) {
      if (bias.id() < adjusted.size()) biases.push_back({bias.id(), bias.value()});
    }
    std::vector<std::uint32_t> forbidden;
    if (forbids) {
      for (const std::uint32_t id : sampling.ids_after_minimum()) {
        if (id < adjusted.size()) forbidden.push_back(id);
      }
    }
    std::span<const kernels::SeenId> seen;
    if (penalized) {
      seen = ListSeen(sequence.ids.first(known), sequence.prompt_ids, adjusted.size(), scratch);
    }
    kernels::AdjustLogits(adjusted, biases, forbidden, penalties, seen);
    return adjusted;
  }

  std::uint32_t index_;
  RowsView logits_;
  std::byte* samplers_;
  std::size_t sampler_count_;
  std::size_t sampler_bytes_;
  std::size_t vocabulary_;
  std::size_t context_;
  std::size_t drawn_;  // ids below it may be drawn
};

}  // namespace

std::unique_ptr<Task> BindSample(const Binder& binder, std::uint32_t index) {
  return std::make_unique<SampleTask>(binder, index);
}

}  // namespace bramble::worker
