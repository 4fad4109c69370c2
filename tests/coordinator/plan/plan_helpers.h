#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/plan/plan.h"

namespace bramble::coordinator {

inline constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

// A model of `layers` equal layers between an embedding and a head that are one tensor (as in tied
// models). Every weight is read whole for a row, but for the embedding's one row.
ModelSummary TiedModel(std::uint32_t layers, std::uint64_t layer_mib, std::uint64_t embedding_mib,
                       std::uint64_t cache_bytes_a_page);

// A worker that reads `mib_per_second` of any encoding.
Device Worker(const std::string& node_id, std::uint64_t memory_mib, double mib_per_second);

// "a:0-3 b:4-6": who holds which blocks.
std::string Shape(const Plan& plan);

}  // namespace bramble::coordinator
