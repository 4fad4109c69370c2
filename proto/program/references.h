#pragma once

#include <cstdint>
#include <functional>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

using IndexMap = std::function<std::uint32_t(std::uint32_t)>;
using IndexVisit = std::function<void(std::uint32_t)>;

// Replaces every weight index that the operation holds, or every cache index, by `map(index)`. The
// kinds that this version runs; a new kind that CheckProgram lets pass adds its fields here (a test
// compares with the message).
void MapWeights(v1::Operation& operation, const IndexMap& map);
void MapCaches(v1::Operation& operation, const IndexMap& map);

// Calls `visit` with every such index, in a fixed order; an index may come twice.
void VisitWeights(const v1::Operation& operation, const IndexVisit& visit);
void VisitCaches(const v1::Operation& operation, const IndexVisit& visit);

}  // namespace bramble::program
