#pragma once

#include <grpcpp/support/string_ref.h>

#include <cstdint>
#include <map>
#include <string>

#include "common/status.h"

namespace bramble::worker {

// The header of Run and Forward that names the plan's epoch, in decimal.
inline constexpr const char* kEpochHeader = "bramble-epoch";

// The epoch that a call's headers name. InvalidArgument if there is none, or not one number.
Result<std::uint64_t> EpochOf(const std::multimap<grpc::string_ref, grpc::string_ref>& headers);

}  // namespace bramble::worker
