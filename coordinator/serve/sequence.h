#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/serve/clock.h"
#include "coordinator/serve/generator.h"
#include "coordinator/serve/pages.h"

namespace bramble::coordinator {

// A sequence's place on the workers: a slot and pages. It loses the place when it ends, and when it
// must make room; then it starts again from its ids, and gets the same bits.
struct Place {
  std::uint64_t number = 0;  // of this placement; results for an earlier one are ignored
  std::uint32_t slot = 0;
  std::vector<std::uint32_t> pages;
  std::size_t pages_sent = 0;       // the workers know these
  std::size_t pages_published = 0;  // their content is known to the pool
  PageKey last_key{};               // of the last published page
  std::uint32_t known = 0;          // ids whose keys and values lay in pages when it began
  std::uint32_t position = 0;       // of the next row to send; ids before it were sent, or known
  std::uint32_t computed = 0;       // rows whose steps have come back
  std::uint64_t last_step = 0;
  bool started = false;  // a span was sent
};

// One request on its way.
struct Sequence {
  RequestId id;
  GenerateRequest request;
  std::shared_ptr<GenerationSink> sink;
  std::vector<std::uint32_t> ids;  // the prompt, then what was drawn
  std::optional<Place> place;

  std::uint32_t generated = 0;
  std::uint32_t prompt_reported = 0;  // prompt outputs below this position were delivered
  std::uint32_t cached = 0;           // `known` of its first place
  std::uint32_t retries = 0;          // after steps that failed through others

  Clock::TimePoint submitted;
  std::optional<Clock::TimePoint> first_step;
  std::optional<Clock::TimePoint> first_token;
  Clock::TimePoint last_token;

  // Ids that are still to be sent. 0: all are, and an id is being drawn. Requires a place.
  std::uint32_t pending() const { return static_cast<std::uint32_t>(ids.size()) - place->position; }
};

}  // namespace bramble::coordinator
