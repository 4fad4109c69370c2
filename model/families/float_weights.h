#pragma once

#include <vector>

#include "model/families/weights.h"

namespace bramble::model::families {

// The numbers of a recipe with `made`. Requires one of Weights::Floats whose status() is ok. Pure;
// any thread.
std::vector<float> MakeFloats(const Weights::Recipe& recipe);

}  // namespace bramble::model::families
