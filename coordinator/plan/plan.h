#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/status.h"
#include "proto/program/slice.h"

namespace bramble::coordinator {

// Planning is a pure function of what is below: the same request gives the same plan, anywhere.

// One weight of a block.
struct WeightSummary {
  std::string content;      // equal names: the same tensor, which a worker holds once
  std::uint64_t bytes = 0;  // in a worker's memory
};

// One block: the unit of placement.
struct BlockSummary {
  std::string name;
  std::vector<WeightSummary> weights;
  // Encoded bytes that one decoded row makes a worker read: all of a matrix, one row of a table.
  std::map<v1::Encoding, std::uint64_t> read_bytes;
  double operations_a_row = 0;           // 2 * multiply-adds of one row of a prompt
  std::uint64_t cache_bytes_a_page = 0;  // of all its caches
  std::uint64_t buffer_bytes = 0;  // while it runs; a worker has one buffer for all its blocks
  std::uint64_t output_bytes_a_row = 0;  // of the streams that leave it
};

struct ModelSummary {
  std::string name;
  std::uint32_t context_length = 0;
  std::vector<BlockSummary> blocks;
};

// A worker as the planner sees it. Speeds as the worker measured them; 0 or missing: unknown.
struct Device {
  std::string node_id;
  std::uint64_t memory_limit_bytes = 0;
  double read_bytes_per_second = 0;
  struct Speed {
    double decode_bytes_per_second = 0;        // encoded weight bytes, one row
    double prefill_operations_per_second = 0;  // many rows
  };
  std::map<v1::Encoding, Speed> speeds;
  double hop_seconds = 0;  // from this worker to the next, without the bytes' time
};

enum class Objective {
  kThroughput,  // the slowest stage is as fast as can be; among equals, fewer stages
  kLatency,     // one row passes all stages as fast as can be
};

// How a model is cut.
enum class Sharding {
  kAuto,      // as the objective is served best
  kPipeline,  // each worker holds whole blocks
  kSlices,    // the workers share every block
};

struct PlanLimits {
  std::uint32_t page_positions = 32;
  std::uint32_t max_rows = 256;
  std::uint32_t max_outputs = 16;
  std::uint32_t max_sequences = 16;
  // At least one sequence of this many positions must have room. 0: the model's context, at most
  // 4096.
  std::uint32_t context = 0;
  // Room for this many such sequences is taken where memory allows it.
  std::uint32_t wanted_sequences = 4;
  // A worker's own need beside weights, caches and buffers: code, gRPC, TLS.
  std::uint64_t fixed_bytes = std::uint64_t{24} << 20;
  // A matrix with fewer numbers is not shared by slices.
  std::uint64_t smallest_product = program::SliceOptions().smallest_product;
  // What the links are taken to carry.
  double link_bytes_per_second = 117e6;
};

// Positions of the sequence that must have room: `limits.context`, or its default.
std::uint32_t PlannedContext(const PlanLimits& limits, std::uint32_t model_context);

struct PlanRequest {
  ModelSummary model;
  std::vector<Device> devices;
  PlanLimits limits;
  Objective objective = Objective::kThroughput;
};

// What one worker does: the blocks of a stage, or its share of them.
struct PlannedStage {
  std::string node_id;
  // The workers that share these blocks by slices stand one behind the other in the plan.
  std::uint32_t members = 1;
  std::uint32_t member = 0;
  std::uint32_t share = 1;  // how much this one takes, beside the others
  std::uint32_t first_block = 0;
  std::uint32_t block_count = 0;
  std::string first_name;  // of its first and last block
  std::string last_name;
  std::uint64_t weight_bytes = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t buffer_bytes = 0;
  std::uint64_t fixed_bytes = 0;
  std::uint64_t memory_limit_bytes = 0;
  double row_seconds = 0;              // expected, one decoded row
  double hop_seconds = 0;              // expected, from here to the next stage
  double prefill_rows_per_second = 0;  // expected; 0: unknown

  std::uint64_t needed_bytes() const {
    return weight_bytes + cache_bytes + buffer_bytes + fixed_bytes;
  }
};

struct Plan {
  std::string model;
  Objective objective = Objective::kThroughput;
  std::vector<PlannedStage> stages;  // in the order of blocks; of a group, of members
  v1::Limits limits;                 // of every stage
  double slowest_stage_seconds = 0;  // a full pipeline gives a row in this time
  double row_seconds = 0;            // one row through all stages and hops
  std::vector<std::string> reasons;  // for people, a line each
};

// The best plan, or ResourceExhausted with the arithmetic where the model does not fit (a worker a
// line), or InvalidArgument where the request itself makes no sense.
Result<Plan> MakePlan(const PlanRequest& request);

// {"model", "objective", "stages": [{"node", "first_block", "blocks", "weight_bytes", ...}],
// "limits", "reasons"}.
std::string PlanJson(const Plan& plan);

// A table for people, a line a stage, and the reasons below.
std::string PlanTable(const Plan& plan);

// Why the stage fits: "pi-1 holds embed to layer.9: 40.1 MiB weights + ... = 61.0 MiB of 512.0
// MiB".
std::string StageReason(const PlannedStage& stage);

// Stages that a row passes: workers that share blocks count once.
std::uint32_t StageCount(const Plan& plan);

const char* ObjectiveName(Objective objective);             // "throughput", "latency"
Result<Objective> ParseObjective(const std::string& name);  // InvalidArgument names the two
Result<Sharding> ParseSharding(const std::string& name);    // "auto", "pipeline", "slices"

}  // namespace bramble::coordinator
