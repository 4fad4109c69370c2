#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/status.h"
#include "worker/exec/peers.h"
#include "worker/exec/weight_source.h"

namespace bramble::worker {

struct ExecutorOptions {
  // Threads that compute, the caller's included: 1 to 64; 0: as many as there are processors.
  int threads = 0;
  // Kernels to use: "" (the best of this CPU), "portable", "avx2", ... (kernels/cpu.h).
  std::string isa;
  // Bytes that weights, caches and buffers may take together; 0: no limit.
  std::uint64_t memory_limit = 0;
  // The other members, if the program is a slice; they outlive the executor.
  Peers* peers = nullptr;
};

// What a step leaves behind.
struct StepOutput {
  // One for each stream that leaves the shard, in the order of Program.streams: rows x width
  // little-endian f32.
  std::vector<std::string> activations;
  // One for each output of the step, in its order; empty if the shard has no `sample`.
  std::vector<v1::OutputResult> outputs;
  // With a status that is not ok: the sequence whose values were not finite, if that was the
  // reason.
  std::optional<std::uint32_t> failed_sequence;
};

// Runs one shard: a program compiled into bound kernels over planned buffers, its weights, its
// caches, and what is known of each sequence. Life: from Load until the epoch ends. Threads: one
// thread at a time; it becomes the first of the team.
class Executor {
 public:
  // Checks the program, the limits and the memory, then loads the weights. InvalidArgument or
  // Unimplemented: the program or the limits are wrong, with the path; ResourceExhausted: more
  // memory than the limit, with the sum; the source's status if a weight is missing.
  static Result<std::unique_ptr<Executor>> Create(const v1::Program& shard,
                                                  const v1::Limits& limits,
                                                  const ExecutorOptions& options,
                                                  WeightSource& source);
  virtual ~Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Computes one step. `inputs`: one for each stream that enters the shard, in the order of
  // Program.streams: rows x width little-endian f32.
  //
  // `step.closed` is obeyed first, whatever follows. InvalidArgument with the field's path ("span
  // 2: pages[0] is 99, ...") if the step does not agree with the limits or with what is known of
  // its sequences: then nothing else has happened. InvalidArgument with the operation's path and
  // "not finite": the step ended there, `out.failed_sequence` says whose row it was. As another
  // member says, or as Peers does, if the group could not go on. After a
  // failure each sequence of the step is known up to its span's position only; a later step may
  // start there again. A span may also go back to an earlier position: what was behind it is
  // forgotten.
  virtual Status Run(const v1::Step& step, std::span<const std::span<const std::byte>> inputs,
                     StepOutput& out) = 0;

  // What is allocated. Equal to program::Memory of the shard and the limits.
  virtual v1::MemoryUse MemoryUse() const = 0;

  // Cache pages that open sequences hold. As Run: one thread at a time.
  virtual std::uint32_t PagesInUse() const = 0;

  // The kernels in use, sorted, each once: "matmul/q4_1/a8/avx2", "rms_norm/avx2".
  virtual std::vector<std::string> Variants() const = 0;

 protected:
  Executor() = default;
};

}  // namespace bramble::worker
