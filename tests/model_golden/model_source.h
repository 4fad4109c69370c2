#pragma once

#include <cstddef>
#include <span>

#include "model/model.h"
#include "worker/exec/executor.h"

namespace bramble {

// The weights of a model as an executor asks for them.
class ModelSource final : public worker::WeightSource {
 public:
  explicit ModelSource(const model::Model& model) : model_(model) {}
  Result<std::span<const std::byte>> Bytes(const v1::Weight& weight) override {
    return model_.WeightBytes(weight.sha256());
  }

 private:
  const model::Model& model_;
};

}  // namespace bramble
