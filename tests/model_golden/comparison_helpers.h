// Compares a model with the logits that a reference implementation gives for it.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/model.h"
#include "tests/model_golden/engine_helpers.h"
#include "tests/model_golden/golden_cases.h"

namespace bramble {

// Bounds in standard deviations of the logits. A swapped GELU or epsilon is as large as 0.0003.
inline constexpr double kStrict = 2e-4;
inline constexpr double kQuantizedInputs = 0.25;

// The model in a folder at `model`, with expected.json in `folder`.
class Comparison {
 public:
  Comparison(std::filesystem::path folder, const model::CompileOptions& options, double bound,
             std::string model = "");

  void Run();

 private:
  void Check(double got, double expected, double std, const std::string& what);
  void CheckLogits(const nlohmann::json& prompt);
  void CheckGreedy(const nlohmann::json& prompt);

  std::filesystem::path folder_;
  std::string model_;
  nlohmann::json expected_;
  model::CompileOptions options_;
  double bound_;
  std::unique_ptr<Engine> engine_;
  std::vector<float> last_;
  double worst_ = 0;
};

}  // namespace bramble
