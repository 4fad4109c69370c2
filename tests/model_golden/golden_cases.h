#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bramble {

inline const std::filesystem::path stored_cases =
    std::filesystem::path(BRAMBLE_SOURCE_DIR) / "tests/golden/models";

// What a reference implementation gave for the case in `folder`; no object where that is none.
inline nlohmann::json ReadExpected(const std::filesystem::path& folder) {
  std::ifstream file(folder / "expected.json");
  return nlohmann::json::parse(file, nullptr, false);
}

// The names of the cases of a kind ("encoder", "seq2seq" ...) that `wanted(family, folder)` lets
// pass.
template <typename Predicate>
std::vector<std::string> CasesOfKind(const std::filesystem::path& folder, const std::string& kind,
                                     Predicate wanted) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const nlohmann::json expected = ReadExpected(entry.path());
    if (!expected.is_object() || expected.value("kind", "") != kind) continue;
    if (!wanted(expected.value("family", ""), entry.path())) continue;
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace bramble
