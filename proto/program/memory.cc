#include "proto/program/memory.h"

#include <algorithm>

#include "proto/program/held.h"
#include "proto/program/moe.h"
#include "proto/program/plan_buffers.h"
#include "proto/program/schedule.h"

namespace bramble::program {
namespace {

constexpr std::uint64_t kAlignment = 64;
constexpr std::uint64_t kTooMuch = std::uint64_t{1} << 62U;
// kernels::kAttentionChunk, and kernels::Candidate. The executor asserts that they are the same.
constexpr std::uint64_t kAttentionChunk = 256;
constexpr std::uint64_t kCandidateBytes = 16;
constexpr std::uint64_t kSamplers = 4;

// Limits and programs may be hostile: what does not fit in 62 bits is too much, not small.
std::uint64_t Add(std::uint64_t a, std::uint64_t b) { return std::min(a + b, kTooMuch); }
std::uint64_t Multiply(std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > kTooMuch / b ? kTooMuch : a * b;
}
std::uint64_t Aligned(std::uint64_t bytes) {
  return bytes >= kTooMuch ? kTooMuch : (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

std::uint64_t CacheBytesPerPosition(const v1::Cache& cache) {
  if (cache.has_state()) return 0;
  const v1::KeyValueCache& kv = cache.key_value();
  const std::uint64_t number = kv.encoding() == v1::ENCODING_F16 ? 2 : 4;
  return number * kv.kv_heads() * (std::uint64_t{kv.key_dim()} + kv.value_dim());
}

PageLayout LayOutPages(const v1::Program& program, const v1::Limits& limits) {
  PageLayout layout;
  for (const v1::Cache& cache : program.caches()) {
    layout.cache_offset.push_back(layout.page_bytes);
    const std::uint64_t bytes = Multiply(CacheBytesPerPosition(cache), limits.page_positions());
    layout.page_bytes = Add(layout.page_bytes, Aligned(bytes));
  }
  return layout;
}

StateLayout LayOutStates(const v1::Program& program) {
  StateLayout layout;
  for (const v1::Cache& cache : program.caches()) {
    layout.cache_offset.push_back(layout.sequence_bytes);
    if (!cache.has_state()) continue;
    layout.sequence_bytes +=
        Aligned(std::uint64_t{cache.state().rows()} * cache.state().width() * sizeof(float));
  }
  return layout;
}

std::uint64_t StateBytes(const v1::Program& program, const v1::Limits& limits) {
  return Multiply(LayOutStates(program).sequence_bytes, limits.max_sequences());
}

std::uint64_t ThreadScratchBytes(const v1::Program& program, const v1::Limits& limits) {
  std::uint64_t floats = 0;
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (op.has_moe()) {
        const v1::RowKind rows = block.values(static_cast<int>(op.outputs(0))).rows();
        floats = std::max(floats, MoeScratchFloats(op.moe(), MostRows(rows, limits)));
      }
      if (!op.has_attention()) continue;
      const v1::KeyValueCache& kv =
          program.caches(static_cast<int>(op.attention().cache())).key_value();
      const std::uint64_t group = op.attention().heads() / kv.kv_heads();
      floats = std::max(floats, group * (kAttentionChunk + kv.value_dim() + 2));
    }
  }
  return Aligned(floats * sizeof(float));
}

std::uint64_t SamplerCount(const v1::Program& program, const v1::Limits& limits) {
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (op.has_sample()) return std::min<std::uint64_t>(kSamplers, limits.max_outputs());
    }
  }
  return 0;
}

// Candidates, a copy of the logits, and for each id its place in the list of seen ids; that list is
// as long as the context.
std::uint64_t SamplerBytes(const v1::Program& program) {
  const std::uint64_t ids = program.vocabulary_size();
  return Aligned(ids * (kCandidateBytes + sizeof(float) + sizeof(std::uint32_t)) +
                 std::uint64_t{program.context_length()} * (2 * sizeof(std::uint32_t)));
}

std::uint64_t PagesPerSequence(const v1::Program& program, const v1::Limits& limits) {
  return (std::uint64_t{program.context_length()} + limits.page_positions() - 1) /
         limits.page_positions();
}

std::uint64_t SequenceBytes(const v1::Program& program, const v1::Limits& limits) {
  return Aligned(program.context_length() * sizeof(std::uint32_t)) +
         Aligned(PagesPerSequence(program, limits) * sizeof(void*));
}

MemoryNeed Memory(const v1::Program& program, const v1::Limits& limits) {
  MemoryNeed need;
  need.weight_bytes = HeldBytes(
      program, HoldWeights(program, 0, static_cast<std::uint32_t>(program.blocks_size())));
  need.cache_bytes = Add(Multiply(LayOutPages(program, limits).page_bytes, limits.pages()),
                         StateBytes(program, limits));
  const std::uint64_t parts[] = {
      PlanBuffers(MakeSchedule(program), limits).bytes,
      Multiply(ThreadScratchBytes(program, limits), kMaxThreads),
      Multiply(SamplerBytes(program), SamplerCount(program, limits)),
      Multiply(SequenceBytes(program, limits), limits.max_sequences()),
      Multiply(kRowBytes, 2 * std::uint64_t{limits.max_rows()} + limits.max_outputs()),
  };
  for (const std::uint64_t part : parts) need.buffer_bytes = Add(need.buffer_bytes, part);
  need.total = Add(need.weight_bytes, Add(need.cache_bytes, need.buffer_bytes));
  return need;
}

}  // namespace bramble::program
