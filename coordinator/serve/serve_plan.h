#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"

namespace bramble::coordinator {

// A stream that leaves the program: what the last stage answers a step with, besides ids.
struct ResultStream {
  v1::ResultKind kind = v1::RESULT_KIND_UNSPECIFIED;
  v1::RowKind rows = v1::ROW_KIND_SEQUENCE;
  std::uint32_t width = 0;
};

// What the scheduler must know of the plan that it serves.
struct ServePlan {
  std::uint64_t epoch = 0;
  std::uint32_t stages = 1;
  v1::Limits limits;
  std::uint32_t context_length = 0;  // prompt and answer together; at most pages * page_positions
  std::uint32_t vocabulary_size = 0;
  // False for programs with memory that is not in pages (states): a sequence must start at 0 there.
  bool share_prefixes = true;
  // False for programs that answer with `results` only.
  bool draws = true;
  // A sequence goes into one step, all of it.
  bool whole_sequences = false;
  // With a program that reads a source: a prompt is the source, and the answer begins with this id.
  std::optional<std::uint32_t> start_id = std::nullopt;
  std::vector<ResultStream> results = {};  // in the order of Program.streams
};

// What the scheduler does at this moment.
struct ServeSnapshot {
  std::uint32_t running = 0;  // sequences with a place
  std::uint32_t queued = 0;
  std::uint32_t pages = 0;
  std::uint32_t pages_in_use = 0;  // by running sequences
  std::uint32_t pages_cached = 0;  // kept for prompts that begin alike
  std::uint32_t steps_in_flight = 0;
  std::uint64_t steps = 0;
};

}  // namespace bramble::coordinator
