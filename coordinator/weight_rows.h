#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>

#include "bramble/v1/program.pb.h"
#include "common/mutex.h"
#include "common/status.h"

namespace bramble::model {
class Model;
}

namespace bramble::coordinator {

// A model's weights by their hashes, and rows of them, which the members of a group ask for when
// they share a matrix. Thread-safe.
class WeightRows {
 public:
  explicit WeightRows(std::shared_ptr<const model::Model> model) : model_(std::move(model)) {}

  // The bytes of a weight, or of rows that HashOf has named; valid as long as the model. NotFound
  // for any other hash.
  Result<std::span<const std::byte>> Find(std::string_view sha256) const;
  // The SHA-256 of rows first .. first + count - 1 of a weight of the model: read once, then known.
  Result<std::string> HashOf(const v1::Weight& weight, std::uint64_t first, std::uint64_t count);

 private:
  using Rows = std::tuple<std::string, std::uint64_t, std::uint64_t>;

  const std::shared_ptr<const model::Model> model_;
  mutable Mutex mu_;
  std::map<Rows, std::string> hashes_ GUARDED_BY(mu_);
  std::map<std::string, std::span<const std::byte>, std::less<>> bytes_ GUARDED_BY(mu_);
};

}  // namespace bramble::coordinator
