#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "coordinator/api/api.h"
#include "coordinator/api/json_body.h"

namespace bramble::coordinator {

inline constexpr std::size_t kMostInputs = 2048;  // of one request; OpenAI's limit

// A request for embeddings.
struct EmbeddingRequest {
  std::vector<std::vector<std::uint32_t>> inputs;  // ids, at least one each
  bool base64 = false;
  std::uint32_t dimensions = 0;  // of each vector: its first ones
};

// Reads it strictly. `context`: ids that an input may have; 0: not known now.
std::optional<ApiError> ReadEmbeddingRequest(const Json& body, const ServedModel& model,
                                             std::uint32_t context, EmbeddingRequest& out);

}  // namespace bramble::coordinator
