#include "proto/program/plan_buffers.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "common/check.h"

namespace bramble::program {
namespace {

// Holes of an arena that grows at its end. Neighbouring holes are one.
class Holes {
 public:
  std::uint64_t Take(std::uint64_t bytes) {
    const auto fit = by_size_.lower_bound({bytes, 0});
    if (fit == by_size_.end()) return Grow(bytes);
    const auto [size, offset] = *fit;
    Remove(offset, size);
    if (size > bytes) Insert(offset + bytes, size - bytes);
    return offset;
  }

  void Give(std::uint64_t offset, std::uint64_t bytes) {
    auto next = by_offset_.lower_bound(offset);
    if (next != by_offset_.end() && offset + bytes == next->first) {
      bytes += next->second;
      Remove(next->first, next->second);
    }
    auto before = by_offset_.lower_bound(offset);
    if (before != by_offset_.begin()) {
      --before;
      if (before->first + before->second == offset) {
        const auto [begin, size] = *before;
        Remove(begin, size);
        offset = begin;
        bytes += size;
      }
    }
    Insert(offset, bytes);
  }

  std::uint64_t end() const { return end_; }

 private:
  // A hole at the very end is used too, however small.
  std::uint64_t Grow(std::uint64_t bytes) {
    std::uint64_t offset = end_;
    if (!by_offset_.empty()) {
      const auto [begin, size] = *by_offset_.rbegin();
      if (begin + size == end_) {
        Remove(begin, size);
        offset = begin;
      }
    }
    end_ = offset + bytes;
    return offset;
  }

  void Insert(std::uint64_t offset, std::uint64_t bytes) {
    by_offset_.emplace(offset, bytes);
    by_size_.emplace(bytes, offset);
  }

  void Remove(std::uint64_t offset, std::uint64_t bytes) {
    by_offset_.erase(offset);
    by_size_.erase({bytes, offset});
  }

  std::map<std::uint64_t, std::uint64_t> by_offset_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_size_;
  std::uint64_t end_ = 0;
};

std::vector<std::uint32_t> SortedBy(const Schedule& schedule, std::uint32_t Tensor::*level) {
  std::vector<std::uint32_t> order(schedule.tensors.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return schedule.tensors[a].*level < schedule.tensors[b].*level;
  });
  return order;
}

}  // namespace

std::uint64_t MostRows(v1::RowKind rows, const v1::Limits& limits) {
  switch (rows) {
    case v1::ROW_KIND_TOKEN:
    case v1::ROW_KIND_SOURCE:
      return limits.max_rows();
    case v1::ROW_KIND_SEQUENCE:
      return limits.max_sequences();
    default:
      CHECK(rows == v1::ROW_KIND_OUTPUT);
      return limits.max_outputs();
  }
}

BufferPlan PlanBuffers(const Schedule& schedule, const v1::Limits& limits) {
  BufferPlan plan;
  plan.offsets.assign(schedule.tensors.size(), 0);
  const std::vector<std::uint32_t> starting = SortedBy(schedule, &Tensor::first);
  const std::vector<std::uint32_t> ending = SortedBy(schedule, &Tensor::last);
  const auto bytes = [&](std::uint32_t tensor) {
    return schedule.tensors[tensor].row_bytes * MostRows(schedule.tensors[tensor].rows, limits);
  };
  Holes holes;
  std::size_t ended = 0;
  for (const std::uint32_t tensor : starting) {
    // What was used for the last time below this level makes room.
    const std::uint32_t level = schedule.tensors[tensor].first;
    for (; ended < ending.size() && schedule.tensors[ending[ended]].last < level; ++ended) {
      holes.Give(plan.offsets[ending[ended]], bytes(ending[ended]));
    }
    plan.offsets[tensor] = holes.Take(bytes(tensor));
  }
  plan.bytes = holes.end();
  return plan;
}

}  // namespace bramble::program
