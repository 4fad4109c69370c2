#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "bramble/v1/program.pb.h"
#include "kernels/cpu.h"
#include "kernels/table.h"
#include "proto/program/memory.h"
#include "proto/program/plan_buffers.h"
#include "proto/program/schedule.h"
#include "worker/exec/peers.h"
#include "worker/exec/task.h"
#include "worker/exec/weights.h"

namespace bramble::worker {

// What is known when a program is compiled: where everything lies, and which kernels this CPU may
// run. Everything that it points to outlives the tasks, but for itself, the program, the schedule
// and the plan.
struct Binder {
  const v1::Program& program;
  const v1::Limits& limits;
  const program::Schedule& schedule;
  const program::BufferPlan& plan;
  const program::PageLayout& pages;
  const program::StateLayout& states;
  const LoadedWeights& weights;
  kernels::Features features;
  std::byte* arena;
  std::byte* thread_scratch;
  std::size_t thread_scratch_bytes;  // of one thread
  std::byte* samplers;
  std::size_t sampler_count;
  Peers* peers;                     // nullptr: the program has no meetings
  std::set<std::string>& variants;  // the names of what has been chosen

  const v1::Operation& OperationOf(const program::Node& node) const {
    return program.blocks(static_cast<int>(node.block))
        .operations(static_cast<int>(node.operation));
  }

  RowsView View(std::uint32_t tensor) const {
    const program::Tensor& t = schedule.tensors[tensor];
    return {arena + plan.offsets[tensor], t.row_bytes, t.width};
  }
  RowsView Input(const program::Node& node, int i) const {
    return View(schedule.of_value[node.block][OperationOf(node).inputs(i)]);
  }
  RowsView Output(const program::Node& node) const { return View(node.tensor); }
  v1::RowKind InputRows(const program::Node& node, int i) const {
    return schedule.tensors[schedule.of_value[node.block][OperationOf(node).inputs(i)]].rows;
  }
  v1::RowKind OutputRows(const program::Node& node) const {
    return schedule.tensors[node.tensor].rows;
  }

  // A vector of numbers, or nullptr if the operation has none.
  const float* Numbers(bool has, std::uint32_t weight) const {
    return has ? weights.vector(weight).numbers() : nullptr;
  }

  // The best kernel of a table that this CPU may run.
  template <typename Function>
  Function Choose(kernels::Rows<Function> rows) const {
    const kernels::Row<Function>& row = kernels::Best(rows, features);
    variants.insert(row.name);
    return row.run;
  }
};

}  // namespace bramble::worker
