#include "coordinator/weight_rows.h"

#include <utility>

#include "common/sha256.h"
#include "model/model.h"

namespace bramble::coordinator {

Result<std::span<const std::byte>> WeightRows::Find(std::string_view sha256) const {
  {
    const MutexLock lock(mu_);
    const auto found = bytes_.find(sha256);
    if (found != bytes_.end()) return found->second;
  }
  return model_->WeightBytes(sha256);
}

Result<std::string> WeightRows::HashOf(const v1::Weight& weight, std::uint64_t first,
                                       std::uint64_t count) {
  const Rows rows{weight.sha256(), first, count};
  {
    const MutexLock lock(mu_);
    const auto known = hashes_.find(rows);
    if (known != hashes_.end()) return known->second;
  }
  ASSIGN_OR_RETURN(const std::span<const std::byte> all, model_->WeightBytes(weight.sha256()));
  const std::size_t row_bytes = all.size() / weight.shape(0);
  const auto part = all.subspan(first * row_bytes, count * row_bytes);
  const Sha256 hash = Sha256Of(part);
  std::string name(hash.begin(), hash.end());
  const MutexLock lock(mu_);
  bytes_.emplace(name, part);
  hashes_.emplace(rows, name);
  return name;
}

}  // namespace bramble::coordinator
