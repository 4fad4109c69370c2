#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "kernels/cpu.h"
#include "kernels/matmul.h"
#include "proto/program/held.h"
#include "worker/exec/region.h"
#include "worker/exec/team.h"
#include "worker/exec/weight_source.h"

namespace bramble::worker {

// A weight in memory, as program::HeldWeight says.
struct LoadedWeight {
  const std::byte* data = nullptr;
  // kMatrix:
  const kernels::MatmulKernel* kernel = nullptr;
  kernels::MatmulShape shape{};
  std::size_t matrices = 1;      // of this shape, each `matrix_bytes` behind the one before
  std::size_t matrix_bytes = 0;  // packed, a multiple of 64
  // kRows:
  const kernels::EncodingInfo* encoding = nullptr;
  std::size_t row_bytes = 0;
  std::size_t columns = 0;  // kMatrix too

  const float* numbers() const { return reinterpret_cast<const float*>(data); }

  // Writes the row's `columns` numbers, decoded. kMatrix or kRows; any thread.
  void DecodeRow(std::size_t row, float* out) const;
};

// The matrices of a mixture of experts; no gate: empty.
struct LoadedStacks {
  std::vector<const LoadedWeight*> gate;
  std::vector<const LoadedWeight*> up;
  std::vector<const LoadedWeight*> down;
};

// All weights of a shard, packed for the kernels. Immutable once loaded: any thread.
class LoadedWeights {
 public:
  // Requires a checked program. All threads of the team pack. The source's status, with the
  // weight's name; InvalidArgument if a weight has another size than its shape says, or if a
  // vector's numbers are not finite.
  static Result<LoadedWeights> Load(const v1::Program& program, kernels::Features features,
                                    Team& team, WeightSource& source);

  // A linear's matrix or a table. A vector by its index in the program.
  const LoadedWeight& matrix(std::uint32_t block, std::uint32_t operation) const;
  const LoadedWeight& vector(std::uint32_t weight) const;
  // Of an operation that is a mixture of experts.
  LoadedStacks stacks(std::uint32_t block, std::uint32_t operation) const;
  std::size_t bytes() const { return region_.size(); }

 private:
  Region region_;
  program::HeldWeights held_;
  std::vector<LoadedWeight> loaded_;  // [item]
};

}  // namespace bramble::worker
