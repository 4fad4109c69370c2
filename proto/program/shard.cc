#include "proto/program/shard.h"

#include <vector>

#include "common/check.h"
#include "proto/program/references.h"
#include "proto/program/schedule.h"

namespace bramble::program {
namespace {

// Which of the old things are needed, then where each of them went.
class Renumbering {
 public:
  explicit Renumbering(int count) : index_(static_cast<std::size_t>(count), kNone) {}

  void Need(std::uint32_t old) { index_[old] = 0; }
  bool needed(std::size_t old) const { return index_[old] != kNone; }

  // Numbers what is needed in its old order.
  void Number() {
    std::uint32_t next = 0;
    for (std::uint32_t& index : index_) {
      if (index != kNone) index = next++;
    }
  }

  std::uint32_t operator()(std::uint32_t old) const {
    CHECK(old < index_.size() && index_[old] != kNone);
    return index_[old];
  }

  template <typename Items, typename Out>
  void CopyNeeded(const Items& items, Out* out) const {
    for (std::size_t i = 0; i < index_.size(); ++i) {
      if (needed(i)) *out->Add() = items.Get(static_cast<int>(i));
    }
  }

 private:
  std::vector<std::uint32_t> index_;
};

// Where in the whole program a stream is written, and read for the last time.
struct StreamLife {
  std::int64_t written = -1;  // -1: from outside
  std::int64_t last_read = -1;
};

std::vector<StreamLife> StreamLives(const v1::Program& program) {
  std::vector<StreamLife> lives(static_cast<std::size_t>(program.streams_size()));
  for (int b = 0; b < program.blocks_size(); ++b) {
    for (const v1::Port& port : program.blocks(b).inputs()) lives[port.stream()].last_read = b;
    for (const v1::Port& port : program.blocks(b).outputs()) lives[port.stream()].written = b;
  }
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (program.streams(static_cast<int>(i)).leaves()) lives[i].last_read = program.blocks_size();
  }
  return lives;
}

void RenumberBlock(v1::Block& block, const Renumbering& streams, const Renumbering& weights,
                   const Renumbering& caches) {
  for (v1::Port& port : *block.mutable_inputs()) port.set_stream(streams(port.stream()));
  for (v1::Port& port : *block.mutable_outputs()) port.set_stream(streams(port.stream()));
  for (v1::Operation& op : *block.mutable_operations()) {
    MapWeights(op, weights);
    MapCaches(op, caches);
  }
}

}  // namespace

v1::Program ExtractShard(const v1::Program& program, std::uint32_t first_block,
                         std::uint32_t block_count) {
  const std::int64_t first = first_block;
  const std::int64_t end = first + block_count;
  CHECK(block_count > 0 && end <= program.blocks_size());
  Renumbering streams(program.streams_size());
  Renumbering weights(program.weights_size());
  Renumbering caches(program.caches_size());

  const std::vector<StreamLife> lives = StreamLives(program);
  for (std::size_t i = 0; i < lives.size(); ++i) {
    const bool before = lives[i].written < first;
    const bool enters = before && lives[i].last_read >= first;
    const bool written_here = !before && lives[i].written < end;
    if (enters || written_here) streams.Need(static_cast<std::uint32_t>(i));
  }
  for (std::int64_t b = first; b < end; ++b) {
    for (const v1::Operation& op : program.blocks(static_cast<int>(b)).operations()) {
      VisitWeights(op, [&](std::uint32_t weight) { weights.Need(weight); });
      VisitCaches(op, [&](std::uint32_t cache) { caches.Need(cache); });
    }
  }
  streams.Number();
  weights.Number();
  caches.Number();

  v1::Program shard;
  shard.set_version(program.version());
  shard.set_name(program.name());
  shard.set_context_length(program.context_length());
  shard.set_vocabulary_size(program.vocabulary_size());
  for (std::size_t i = 0; i < lives.size(); ++i) {
    if (!streams.needed(i)) continue;
    v1::Stream& stream = *shard.add_streams();
    stream = program.streams(static_cast<int>(i));
    stream.set_enters(lives[i].written < first);
    stream.set_leaves(lives[i].last_read >= end);
  }
  weights.CopyNeeded(program.weights(), shard.mutable_weights());
  caches.CopyNeeded(program.caches(), shard.mutable_caches());
  for (std::int64_t b = first; b < end; ++b) {
    v1::Block& block = *shard.add_blocks();
    block = program.blocks(static_cast<int>(b));
    RenumberBlock(block, streams, weights, caches);
  }
  return shard;
}

}  // namespace bramble::program
