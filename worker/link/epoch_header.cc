#include "worker/link/epoch_header.h"

#include <charconv>

namespace bramble::worker {

Result<std::uint64_t> EpochOf(const std::multimap<grpc::string_ref, grpc::string_ref>& headers) {
  const auto found = headers.find(kEpochHeader);
  if (found == headers.end()) return Invalid("the header ", kEpochHeader, " is missing");
  const char* const end = found->second.data() + found->second.size();
  std::uint64_t epoch = 0;
  const auto [rest, error] = std::from_chars(found->second.data(), end, epoch);
  if (error != std::errc() || rest != end) {
    return Invalid("the header ", kEpochHeader, " is not a number");
  }
  return epoch;
}

}  // namespace bramble::worker
