// Core: who has a place, who waits for one, who ends.
#include <algorithm>
#include <chrono>

#include "common/log.h"
#include "coordinator/serve/core.h"

namespace bramble::coordinator {
namespace {

double Seconds(Clock::TimePoint from, Clock::TimePoint to) {
  return std::chrono::duration<double>(to - from).count();
}

std::size_t PagesFor(std::size_t positions, std::uint32_t page_positions) {
  return (positions + page_positions - 1) / page_positions;
}

// Rows before this position need not be computed when their keys and values are known.
std::size_t FirstNeededRow(const Sequence& sequence) {
  std::size_t first = sequence.ids.size() - 1;  // the next id is drawn from its row
  const std::size_t reported = sequence.prompt_reported;
  const std::size_t prompt = sequence.request.prompt_ids.size();
  if (sequence.request.prompt_logprobs && reported + 1 < prompt) first = std::min(first, reported);
  for (const std::uint32_t position : sequence.request.logits_at) {
    if (position >= reported) first = std::min<std::size_t>(first, position);
  }
  return first;
}

}  // namespace

// First come, first served, and nobody overtakes: a long prompt that waits for pages gets them.
void Core::AdmitWaiting() {
  while (!waiting_.empty() && Admit(*waiting_.begin()->second)) {
  }
}

bool Core::Admit(Sequence& sequence) {
  if (free_slots_.empty()) return false;
  const std::uint32_t page_positions = pool_->page_positions();
  Place place;
  if (plan_.share_prefixes) {
    place.pages = pool_->TakeKnown(sequence.ids, FirstNeededRow(sequence) / page_positions);
  }
  // Pages for all ids at once: prompts that each hold a half of the pages would wait for each
  // other. One page more for each that runs, so that the newcomer is not thrown out at the next
  // page's end.
  const std::size_t known = place.pages.size();
  const std::size_t positions = std::max(sequence.ids.size(), sequence.request.source_ids.size());
  const std::size_t more = PagesFor(positions, page_positions) - known;
  if (pool_->available() < more + running_.size()) {
    pool_->Release(place.pages);
    return false;
  }
  for (std::size_t i = 0; i < more; ++i) place.pages.push_back(*pool_->Take());

  place.number = ++places_;
  place.slot = free_slots_.back();
  free_slots_.pop_back();
  place.known = static_cast<std::uint32_t>(known) * page_positions;
  place.position = place.computed = place.known;
  place.pages_published = known;
  for (std::size_t page = 0; page < known; ++page) {
    const auto ids = std::span<const std::uint32_t>(sequence.ids);
    place.last_key =
        NextPageKey(place.last_key, ids.subspan(page * page_positions, page_positions));
  }
  if (!sequence.first_step) {
    sequence.first_step = clock_.Now();
    sequence.cached = place.known;
    metrics_.PrefixLookedUp(static_cast<std::uint32_t>(sequence.ids.size()), place.known);
  }
  sequence.place = std::move(place);
  waiting_.erase(sequence.id);
  running_.emplace(sequence.id, &sequence);
  return true;
}

// Its pages can be used by steps that are sent from now on: workers execute steps in order, so what
// is still in flight is done with them by then.
void Core::GiveUpPlace(Sequence& sequence) {
  const Place& place = *sequence.place;
  pool_->Release(place.pages);
  free_slots_.push_back(place.slot);
  if (place.started) closed_.push_back(place.slot);
  sequence.place.reset();
  running_.erase(sequence.id);
}

void Core::Preempt(Sequence& sequence) {
  LogDebug("sequence preempted",
           {{"request_id", sequence.request.request_id}, {"ids", sequence.ids.size()}});
  GiveUpPlace(sequence);
  waiting_.emplace(sequence.id, &sequence);
}

// Room for the row at `position`. The newest sequence makes room for older ones, so the oldest
// always gets on. False if that is this sequence itself; it has then lost its place.
bool Core::EnsurePage(Sequence& sequence) {
  while (sequence.place->position / pool_->page_positions() >= sequence.place->pages.size()) {
    if (const std::optional<std::uint32_t> page = pool_->Take()) {
      sequence.place->pages.push_back(*page);
      continue;
    }
    Sequence& newest = *running_.rbegin()->second;
    Preempt(newest);
    metrics_.Preempted();
    if (&newest == &sequence) return false;
  }
  return true;
}

void Core::End(Sequence& sequence, FinishReason reason, const Status& status) {
  if (sequence.place) GiveUpPlace(sequence);
  waiting_.erase(sequence.id);
  const Clock::TimePoint now = clock_.Now();
  GenerationEnd end;
  end.reason = reason;
  end.status = status;
  const auto& source = sequence.request.source_ids;
  end.prompt_tokens = static_cast<std::uint32_t>(source.empty() ? sequence.request.prompt_ids.size()
                                                                : source.size());
  end.cached_prompt_tokens = sequence.cached;
  end.generated_tokens = sequence.generated;
  end.seconds_total = Seconds(sequence.submitted, now);
  EndedRequest books{reason, end.prompt_tokens, end.generated_tokens, sequence.request.max_tokens};
  books.total_seconds = end.seconds_total;
  if (sequence.first_step) {
    end.seconds_queued = books.queue_seconds = Seconds(sequence.submitted, *sequence.first_step);
  }
  if (sequence.first_token) {
    end.seconds_to_first_token = Seconds(sequence.submitted, *sequence.first_token);
    books.prefill_seconds = Seconds(*sequence.first_step, *sequence.first_token);
    books.decode_seconds = Seconds(*sequence.first_token, sequence.last_token);
  }
  metrics_.Ended(books);
  if (!status.ok()) {
    LogFailure("request failed", status, {{"request_id", sequence.request.request_id}});
  }
  const std::shared_ptr<GenerationSink> sink = sequence.sink;
  sequences_.erase(sequence.id);  // `sequence` is gone
  ended_();
  sink->OnEnd(end);
}

}  // namespace bramble::coordinator
