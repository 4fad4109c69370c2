#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "model/families/weights.h"

namespace bramble::model {

// The bytes of a program's weights by their SHA-256. They lie in the mapped files where these have
// them as the program wants them, and else in memory that belongs to this. Immutable once made: any
// thread.
class WeightTable {
 public:
  // Makes and hashes every weight, on two threads, and writes the hashes into `program`. `recipes`:
  // one for each weight; the tensors that they name must outlive this.
  static Result<WeightTable> Make(const std::vector<families::Weights::Recipe>& recipes,
                                  v1::Program* program);

  // NotFound: no weight has this hash (32 raw bytes).
  Result<std::span<const std::byte>> Find(std::string_view sha256) const;

 private:
  std::vector<std::vector<std::byte>> owned_;
  std::map<std::string, std::span<const std::byte>, std::less<>> by_hash_;
};

}  // namespace bramble::model
