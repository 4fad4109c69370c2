#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/sha256.h"
#include "common/status.h"

namespace bramble::coordinator {

// The API keys that open the door, as hashes: a memory dump or a core file shows none. Immutable;
// any thread.
class Keys {
 public:
  // `hashes`: see ApiOptions.
  static Result<Keys> FromHashes(const std::vector<std::string>& hashes);

  bool empty() const { return hashes_.empty(); }
  // Whether `header` (the value of Authorization) is "Bearer KEY" with one of the keys. Takes the
  // same time whichever key it is, or almost is.
  bool Allow(std::string_view header) const;

 private:
  std::vector<Sha256> hashes_;
};

}  // namespace bramble::coordinator
