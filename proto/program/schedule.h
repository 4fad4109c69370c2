#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// What a worker does besides the operations that a program names.
enum class NodeKind : std::uint8_t {
  kOperation,
  kQuantize,  // a value's a8/32 form, once for all linears that read it
  kInspect,   // that a value which linears read as f32 is finite
  kAppend,    // an attention's keys and values go into its cache
  kAngles,    // cosines and sines for the rotary operations with the same frequencies
  // Of a mixture of experts, whose operation itself multiplies with down and sums:
  kRoute,    // chooses each row's experts
  kSort,     // sorts the pairs of row and expert by expert
  kCollect,  // copies the rows of an expert side by side where it has more than two
  kExpand,   // gate, up and activation
};

constexpr std::uint32_t kNone = 0xffffffffU;

// One thing to do in a step. It runs when every node of a lower level has run; nodes of one level
// run together, except that nodes that work row by row on the same kind of rows run one after the
// other for each row (Schedule).
struct Node {
  NodeKind kind = NodeKind::kOperation;
  std::uint32_t level = 0;
  std::uint32_t block = 0;
  std::uint32_t operation = kNone;  // kOperation, kAppend, kAngles (the first that needs them)
  std::uint32_t source = kNone;     // kQuantize, kInspect: the tensor that it reads
  std::uint32_t tensor = kNone;     // what it writes, if anything
};

// What lies in the arena: the values, and the quantized rows and rotary tables that nodes make.
struct Tensor {
  std::uint64_t row_bytes = 0;  // a multiple of 64
  v1::RowKind rows = v1::ROW_KIND_TOKEN;
  std::uint32_t width = 0;         // of the value; of a rotary table: its pairs
  std::uint32_t first = 0;         // the level that writes it; 0 too if it arrives from outside
  std::uint32_t last = 0;          // the last level that reads or writes it
  std::uint32_t producer = kNone;  // the node that writes it; kNone: it enters
};

// What the nodes of a mixture of experts hand on: tensors.
struct ExpertTensors {
  std::uint32_t input = kNone;      // what gate and up read
  std::uint32_t choices = kNone;    // ChoicesRowBytes (moe.h)
  std::uint32_t plan = kNone;       // ExpertPlanRowBytes; one for all rows
  std::uint32_t collected = kNone;  // rows of `input`, by slot
  std::uint32_t expanded = kNone;   // what down reads, by slot
};

// The order in which a worker runs a checked program, in levels with a barrier between. Both the
// count of memory and the executor rest on it. Chains that treat each row by itself (norm, rope,
// add, gate, quantize, ...) share one level, so a layer of a usual transformer takes eight.
struct Schedule {
  std::vector<Node> nodes;  // by level; within a level in the order of the program
  std::uint32_t levels = 0;
  std::vector<Tensor> tensors;
  // Indices into `tensors`. Values joined by a stream are one tensor.
  std::vector<std::vector<std::uint32_t>> of_value;   // [block][value]; kNone: never written
  std::vector<std::uint32_t> quantized;               // [tensor]: its a8/32 form, or kNone
  std::vector<std::uint32_t> of_stream;               // [stream]
  std::vector<std::vector<std::uint32_t>> angles_of;  // [block][operation]: of a rope, or kNone
  std::map<std::pair<std::uint32_t, std::uint32_t>, ExpertTensors>
      experts_of;  // of (block, operation), if it is a mixture
};

// Bytes of a row of `width` numbers in the form that products take, a multiple of 64.
std::uint64_t FormRowBytes(v1::InputForm form, std::uint64_t width);

// Requires a checked program. Pure; any thread.
Schedule MakeSchedule(const v1::Program& program);

// True for an operation each of whose output rows depends on the same row of its inputs alone (and
// on the step's).
bool IsRowWise(const v1::Operation& operation);

}  // namespace bramble::program
