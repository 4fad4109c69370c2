#include "proto/program/cost.h"

#include <algorithm>
#include <set>

#include "proto/program/held.h"
#include "proto/program/memory.h"
#include "proto/program/moe.h"
#include "proto/program/references.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

// A position of a source costs what a token does.
bool IsPerToken(v1::RowKind rows) {
  return rows == v1::ROW_KIND_TOKEN || rows == v1::ROW_KIND_SOURCE;
}

// A mixture reads the experts that its row has chosen.
void AddExpertReads(const v1::Program& program, const v1::Moe& moe, BlockCost& cost) {
  const auto add = [&](const auto& stack) {
    const v1::Weight& first = program.weights(static_cast<int>(stack[0]));
    const std::uint64_t rows = first.shape(first.shape_size() - 2);
    cost.read_bytes[first.encoding()] += moe.experts_per_row() * rows * WeightRowBytes(first);
  };
  if (moe.gate_size() > 0) add(moe.gate());
  add(moe.up());
  add(moe.down());
}

void AddReads(const v1::Program& program, const v1::Block& block, const v1::Operation& op,
              BlockCost& cost) {
  if (op.has_moe()) return AddExpertReads(program, op.moe(), cost);
  VisitWeights(op, [&](std::uint32_t index) {
    const v1::Weight& weight = program.weights(static_cast<int>(index));
    std::uint64_t bytes = WeightBytes(weight);
    if (op.has_embed()) bytes = WeightRowBytes(weight);
    if (op.has_linear() && index == op.linear().weight()) {
      bytes = block.values(static_cast<int>(op.outputs(0))).width() * WeightRowBytes(weight);
    }
    cost.read_bytes[weight.encoding()] += bytes;
  });
}

void AddProducts(v1::RowKind rows, std::uint64_t multiplies, BlockCost& cost) {
  (IsPerToken(rows) ? cost.token_multiplies : cost.output_multiplies) += multiplies;
}

void AddMultiplies(const v1::Program& program, const v1::Block& block, const v1::Operation& op,
                   BlockCost& cost) {
  if (op.has_linear()) {
    const v1::Value& output = block.values(static_cast<int>(op.outputs(0)));
    const v1::Value& input = block.values(static_cast<int>(op.inputs(0)));
    AddProducts(output.rows(), std::uint64_t{output.width()} * input.width(), cost);
  }
  if (op.has_moe()) {
    const MoeShape shape = ShapeOf(program, op.moe());
    const std::uint64_t matrices = op.moe().gate_size() > 0 ? 3 : 2;
    AddProducts(block.values(static_cast<int>(op.outputs(0))).rows(),
                matrices * op.moe().experts_per_row() * shape.width * shape.inner, cost);
  }
  if (op.has_attention()) {
    const v1::KeyValueCache& kv =
        program.caches(static_cast<int>(op.attention().cache())).key_value();
    cost.attention_multiplies +=
        op.attention().heads() * (std::uint64_t{kv.key_dim()} + kv.value_dim());
    if (op.attention().appends()) {
      cost.cache_bytes_per_position +=
          CacheBytesPerPosition(program.caches(static_cast<int>(op.attention().cache())));
    }
  }
}

BlockCost CostOf(const v1::Program& program, const v1::Block& block) {
  BlockCost cost;
  cost.name = block.name();
  std::set<std::uint32_t> weights;
  for (const v1::Operation& op : block.operations()) {
    VisitWeights(op, [&](std::uint32_t weight) { weights.insert(weight); });
    AddReads(program, block, op, cost);
    AddMultiplies(program, block, op, cost);
  }
  cost.weights.assign(weights.begin(), weights.end());
  return cost;
}

// A stream crosses every cut between the block that writes it and the last that reads it.
void AddCrossings(const v1::Program& program, std::vector<BlockCost>& costs) {
  const int blocks = program.blocks_size();
  std::vector<int> written(static_cast<std::size_t>(program.streams_size()), 0);
  std::vector<int> last_read(written.size(), 0);
  for (int b = 0; b < blocks; ++b) {
    for (const v1::Port& port : program.blocks(b).inputs()) last_read[port.stream()] = b;
    for (const v1::Port& port : program.blocks(b).outputs()) written[port.stream()] = b;
  }
  for (std::size_t i = 0; i < written.size(); ++i) {
    const v1::Stream& stream = program.streams(static_cast<int>(i));
    const int end = stream.leaves() ? blocks : last_read[i];
    const std::uint64_t bytes = std::uint64_t{stream.width()} * sizeof(float);
    for (int b = written[i]; b < end; ++b) {
      BlockCost& cost = costs[static_cast<std::size_t>(b)];
      (IsPerToken(stream.rows()) ? cost.crossing_bytes_per_token
                                 : cost.crossing_bytes_per_output) += bytes;
    }
  }
}

}  // namespace

std::vector<BlockCost> BlockCosts(const v1::Program& program) {
  std::vector<BlockCost> costs;
  for (const v1::Block& block : program.blocks()) costs.push_back(CostOf(program, block));
  AddCrossings(program, costs);
  return costs;
}

std::uint64_t PackedBytes(const v1::Program& program, std::uint32_t first_block,
                          std::uint32_t block_count) {
  return HeldBytes(program, HoldWeights(program, first_block, block_count));
}

}  // namespace bramble::program
