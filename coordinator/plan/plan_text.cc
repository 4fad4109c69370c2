#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "coordinator/plan/plan.h"
#include "coordinator/plan/words.h"

namespace bramble::coordinator {
namespace {

nlohmann::ordered_json StageJson(const PlannedStage& stage) {
  return {{"node", stage.node_id},
          {"members", stage.members},
          {"member", stage.member},
          {"share", stage.share},
          {"first_block", stage.first_block},
          {"blocks", stage.block_count},
          {"first_name", stage.first_name},
          {"last_name", stage.last_name},
          {"weight_bytes", stage.weight_bytes},
          {"cache_bytes", stage.cache_bytes},
          {"buffer_bytes", stage.buffer_bytes},
          {"fixed_bytes", stage.fixed_bytes},
          {"needed_bytes", stage.needed_bytes()},
          {"memory_limit_bytes", stage.memory_limit_bytes},
          {"row_seconds", stage.row_seconds},
          {"hop_seconds", stage.hop_seconds},
          {"prefill_rows_per_second", stage.prefill_rows_per_second},
          {"reason", StageReason(stage)}};
}

// "41 %": what a worker takes of the blocks that it shares.
std::string ShareText(const Plan& plan, std::size_t index) {
  const std::size_t first = index - plan.stages[index].member;
  double total = 0;
  for (std::size_t i = first; i < first + plan.stages[index].members; ++i) {
    total += plan.stages[i].share;
  }
  return NumberText(100 * plan.stages[index].share / total) + " %";
}

std::vector<std::vector<std::string>> TableRows(const Plan& plan) {
  std::vector<std::vector<std::string>> rows{
      {"STAGE", "WORKER", "BLOCKS", "WEIGHTS", "CACHES", "BUFFERS", "NEEDED", "LIMIT", "ROW"}};
  for (std::size_t i = 0; i < plan.stages.size(); ++i) {
    const PlannedStage& stage = plan.stages[i];
    std::string blocks = stage.first_name;
    if (stage.block_count > 1) blocks += " to " + stage.last_name;
    if (stage.members > 1) blocks.insert(0, ShareText(plan, i).append(" of "));
    rows.push_back({std::to_string(i + 1), stage.node_id,
                    blocks + " (" + std::to_string(stage.block_count) + ")",
                    BytesText(stage.weight_bytes), BytesText(stage.cache_bytes),
                    BytesText(stage.buffer_bytes), BytesText(stage.needed_bytes()),
                    BytesText(stage.memory_limit_bytes), SecondsText(stage.row_seconds)});
  }
  return rows;
}

}  // namespace

std::string StageReason(const PlannedStage& stage) {
  std::ostringstream text;
  text << stage.node_id << " holds " << (stage.members > 1 ? "its share of " : "")
       << stage.first_name;
  if (stage.block_count > 1) text << " to " << stage.last_name;
  text << ": " << BytesText(stage.weight_bytes) << " weights + " << BytesText(stage.cache_bytes)
       << " caches + " << BytesText(stage.buffer_bytes) << " buffers + "
       << BytesText(stage.fixed_bytes) << " itself = " << BytesText(stage.needed_bytes()) << " of "
       << BytesText(stage.memory_limit_bytes);
  return std::move(text).str();
}

const char* ObjectiveName(Objective objective) {
  return objective == Objective::kThroughput ? "throughput" : "latency";
}

Result<Objective> ParseObjective(const std::string& name) {
  if (name == "throughput") return Objective::kThroughput;
  if (name == "latency") return Objective::kLatency;
  return Invalid("'", name, "' is no objective: it is 'throughput' or 'latency'");
}

Result<Sharding> ParseSharding(const std::string& name) {
  if (name == "auto") return Sharding::kAuto;
  if (name == "pipeline") return Sharding::kPipeline;
  if (name == "slices") return Sharding::kSlices;
  return Invalid("'", name, "' is no way to share: it is 'auto', 'pipeline' or 'slices'");
}

std::uint32_t StageCount(const Plan& plan) {
  return static_cast<std::uint32_t>(
      std::count_if(plan.stages.begin(), plan.stages.end(),
                    [](const PlannedStage& stage) { return stage.member == 0; }));
}

std::string PlanJson(const Plan& plan) {
  nlohmann::ordered_json json;
  json["model"] = plan.model;
  json["objective"] = ObjectiveName(plan.objective);
  json["stages"] = nlohmann::ordered_json::array();
  for (const PlannedStage& stage : plan.stages) json["stages"].push_back(StageJson(stage));
  json["limits"] = {{"max_rows", plan.limits.max_rows()},
                    {"max_outputs", plan.limits.max_outputs()},
                    {"max_sequences", plan.limits.max_sequences()},
                    {"pages", plan.limits.pages()},
                    {"page_positions", plan.limits.page_positions()}};
  json["slowest_stage_seconds"] = plan.slowest_stage_seconds;
  json["row_seconds"] = plan.row_seconds;
  json["reasons"] = plan.reasons;
  // Names come from files and from peers: what is not UTF-8 is replaced, not thrown over.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string PlanTable(const Plan& plan) {
  const std::vector<std::vector<std::string>> rows = TableRows(plan);
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::ostringstream text;
  for (const std::vector<std::string>& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      if (c + 1 == row.size()) {
        text << row[c] << "\n";
      } else {
        text << PaddedRight(row[c], widths[c]) << "    ";
      }
    }
  }
  for (const PlannedStage& stage : plan.stages) text << "  " << StageReason(stage) << "\n";
  for (const std::string& reason : plan.reasons) text << "  " << reason << "\n";
  return std::move(text).str();
}

}  // namespace bramble::coordinator
