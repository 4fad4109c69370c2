// A program as a worker receives it: whatever the bytes are, the check answers, and what it lets
// through can be counted, cut and printed.
#include <cstddef>
#include <cstdint>

#include "bramble/v1/program.pb.h"
#include "common/check.h"
#include "proto/program/check.h"
#include "proto/program/cost.h"
#include "proto/program/memory.h"
#include "proto/program/print.h"
#include "proto/program/shard.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bramble;
  v1::Program program;
  if (size > (std::size_t{1} << 22) || !program.ParseFromArray(data, static_cast<int>(size))) {
    return 0;
  }
  if (!program::CheckProgram(program).ok()) return 0;
  v1::Limits limits;
  limits.set_max_rows(16);
  limits.set_max_outputs(4);
  limits.set_max_sequences(4);
  limits.set_pages(8);
  limits.set_page_positions(16);
  // A checked program may still be too large to hold; the count itself must not overflow.
  (void)program::Memory(program, limits);
  (void)program::PrintProgram(program);
  (void)program::BlockCosts(program);
  const auto blocks = static_cast<std::uint32_t>(program.blocks_size());
  for (std::uint32_t cut = 1; cut < blocks; ++cut) {
    CHECK(program::CheckProgram(program::ExtractShard(program, 0, cut)).ok());
    CHECK(program::CheckProgram(program::ExtractShard(program, cut, blocks - cut)).ok());
  }
  return 0;
}
