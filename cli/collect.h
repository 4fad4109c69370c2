#pragma once

#include <functional>
#include <vector>

#include "common/status.h"
#include "coordinator/serve/generator.h"

namespace bramble::cli {

// The likeliest id, nothing else changed: where a request's own parameters start from.
v1::Sampling GreedySampling();

// Everything that one request gave.
struct Generation {
  std::vector<coordinator::PromptOutput> prompt;
  std::vector<coordinator::GeneratedToken> tokens;
  std::vector<coordinator::SequenceOutput> sequence;
  coordinator::GenerationEnd end;
};

// Submits a request and waits for its end. `on_token` (may be empty) hears each token on this
// thread, as it comes. A request that ends with an error is its status.
Result<Generation> Generate(
    coordinator::Generator& generator, coordinator::GenerateRequest request,
    const std::function<void(const coordinator::GeneratedToken&)>& on_token = {});

}  // namespace bramble::cli
