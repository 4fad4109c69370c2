#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "common/sha256.h"
#include "model/model.h"
#include "worker/exec/executor.h"

namespace bramble {

// The weights of a model as an executor asks for them.
class ModelSource final : public worker::WeightSource {
 public:
  explicit ModelSource(const model::Model& model) : model_(model) {}
  Result<std::span<const std::byte>> Bytes(const v1::Weight& weight) override {
    const auto found = rows_.find(weight.sha256());
    if (found != rows_.end()) return found->second;
    return model_.WeightBytes(weight.sha256());
  }

  // Rows of a weight, for a slice: from now on they have a hash of their own.
  Result<std::string> AddRows(const v1::Weight& weight, std::uint64_t first, std::uint64_t count) {
    ASSIGN_OR_RETURN(const std::span<const std::byte> all, Bytes(weight));
    const std::size_t row_bytes = all.size() / weight.shape(0);
    const auto rows = all.subspan(first * row_bytes, count * row_bytes);
    const Sha256 hash = Sha256Of(rows);
    std::string name(hash.begin(), hash.end());
    rows_.emplace(name, rows);
    return name;
  }

 private:
  const model::Model& model_;
  std::map<std::string, std::span<const std::byte>> rows_;
};

}  // namespace bramble
