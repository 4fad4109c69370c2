#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/families/weights.h"
#include "model/files/model_files.h"
#include "model/model.h"

namespace bramble::model::families {

// A model's program before its weights are read: their hashes are still missing.
struct Compiled {
  v1::Program program;
  std::vector<Weights::Recipe> recipes;  // one for each of program.weights()
  std::uint32_t layers = 0;
  std::uint32_t trained_context = 0;
  std::vector<std::string> unused_tensors;  // those that readers know to ignore are left out
};

// Finds the family of the files and compiles them. `files` must outlive the recipes.
Result<Compiled> Compile(const files::ModelFiles& files, const CompileOptions& options);

}  // namespace bramble::model::families
