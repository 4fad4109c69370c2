// Core: what the next step carries.
#include <algorithm>

#include "coordinator/serve/core.h"

namespace bramble::coordinator {
namespace {

// Beside drawing rows a step has at most this many rows of prompts: a stage takes a long prompt in
// bites, between which the others draw.
constexpr std::uint32_t kPromptRowsBesideDrawing = 64;
// A prompt is cut into as many chunks as there are stages, so that all of them work on it, but not
// into smaller ones: every chunk makes every stage read its weights.
constexpr std::uint32_t kLeastChunk = 64;

std::uint32_t DivideUp(std::size_t a, std::size_t b) {
  return static_cast<std::uint32_t>((a + b - 1) / b);
}

}  // namespace

// False when there is nothing to send. True without a step where only room was made: then another
// look is due.
bool Core::SendNext() {
  Draft draft;
  const std::size_t before = running_.size();
  AddDrawing(draft);
  AddPrompts(draft);
  if (draft.step.spans().empty()) return running_.size() < before;
  draft.step.set_epoch(plan_.epoch);
  draft.step.set_number(++steps_);
  draft.step.mutable_closed()->Add(closed_.begin(), closed_.end());
  closed_.clear();
  if (draft.record.draws) ++drawing_steps_;
  in_flight_.emplace(steps_, std::move(draft.record));
  metrics_.StepSent(draft.rows);
  channel_->Send(std::move(draft.step));
  return true;
}

std::uint32_t Core::CountDrawing() const {
  std::uint32_t count = 0;
  for (const auto& [id, sequence] : running_) count += sequence->pending() <= 1 ? 1 : 0;
  return count;
}

// Those whose last id is to be sent (`drawing`), or those with more to send; who waits for longest
// first.
std::vector<Sequence*> Core::LongestUnserved(bool drawing) const {
  std::vector<Sequence*> found;
  for (const auto& [id, sequence] : running_) {
    const std::uint32_t pending = sequence->pending();
    if (drawing ? pending == 1 : pending > 1) found.push_back(sequence);
  }
  std::stable_sort(found.begin(), found.end(), [](const Sequence* a, const Sequence* b) {
    return a->place->last_step < b->place->last_step;
  });
  return found;
}

void Core::AddDrawing(Draft& draft) {
  const std::uint32_t groups = groups_.count();
  if (drawing_steps_ >= groups) return;
  std::vector<Sequence*> ready = LongestUnserved(true);
  if (ready.empty()) return;
  // Groups of equal size. The second bound keeps newcomers from joining one group all at once.
  const std::size_t limit =
      std::min({DivideUp(ready.size(), groups - drawing_steps_), DivideUp(CountDrawing(), groups),
                plan_.limits.max_rows(), plan_.limits.max_outputs()});
  if (ready.size() > limit) ready.resize(limit);
  // Making room for one may take away another's place: all room first, then the rows of those that
  // still have one.
  for (Sequence* sequence : ready) {
    if (sequence->place) EnsurePage(*sequence);
  }
  for (Sequence* sequence : ready) {
    if (!sequence->place || !SourceFits(draft, *sequence)) continue;
    AddSpan(draft, *sequence, 1);
    draft.record.draws = true;
  }
}

void Core::AddPrompts(Draft& draft) {
  const std::vector<Sequence*> prompts = LongestUnserved(false);
  if (prompts.empty()) return;
  const std::uint32_t drawing = CountDrawing();
  if (!draft.record.draws) {
    const std::size_t prompt_steps = in_flight_.size() - drawing_steps_;
    if (prompt_steps >= plan_.stages + 1 - std::min(plan_.stages, drawing)) return;
  }
  std::uint32_t room = plan_.limits.max_rows() - draft.rows;
  if (drawing > 0 && !plan_.whole_sequences) room = std::min(room, kPromptRowsBesideDrawing);
  for (Sequence* sequence : prompts) {
    if (!SourceFits(draft, *sequence)) return;
    const std::size_t to_compute = sequence->ids.size() - sequence->place->known;
    const std::uint32_t chunk = plan_.whole_sequences
                                    ? sequence->pending()
                                    : std::max(kLeastChunk, DivideUp(to_compute, plan_.stages));
    const auto outputs =
        plan_.limits.max_outputs() - static_cast<std::uint32_t>(draft.record.outputs.size());
    const std::uint32_t rows =
        RowsWithin(*sequence, std::min({sequence->pending(), chunk, room}), outputs);
    // What can't be cut waits for a step with room.
    if (rows == 0 || (plan_.whole_sequences && rows < sequence->pending())) return;
    AddSpan(draft, *sequence, rows);
    room -= rows;
  }
}

// The source goes with the first span, all of it.
bool Core::SourceFits(const Draft& draft, const Sequence& sequence) const {
  const std::size_t source = sequence.place->started ? 0 : sequence.request.source_ids.size();
  return draft.sources + source <= plan_.limits.max_rows();
}

// How many of the next `rows` rows can be taken with at most `outputs` outputs.
std::uint32_t Core::RowsWithin(const Sequence& sequence, std::uint32_t rows,
                               std::uint32_t outputs) const {
  for (std::uint32_t row = 0; row < rows; ++row) {
    if (!OutputAt(sequence, sequence.place->position + row)) continue;
    if (outputs == 0) return row;
    --outputs;
  }
  return rows;
}

// What is wanted of the row at `position`, if anything.
std::optional<v1::Output> Core::OutputAt(const Sequence& sequence, std::uint32_t position) const {
  const GenerateRequest& request = sequence.request;
  v1::Output output;
  bool wanted = false;
  if (position + 1 == sequence.ids.size() && sequence.generated < request.max_tokens) {
    wanted = true;
    output.set_draw(true);
    output.set_logprob(request.logprobs);
    output.set_logits(request.logits_of_tokens);
    if (request.logprobs) output.set_top(request.top_logprobs);
  }
  const std::size_t prompt = request.prompt_ids.size();
  if (position < prompt && position >= sequence.prompt_reported) {
    if (request.prompt_logprobs && position + 1 < prompt) {
      wanted = true;
      output.set_target(request.prompt_ids[position + 1]);
      output.set_top(request.top_logprobs);
    }
    if (std::binary_search(request.logits_at.begin(), request.logits_at.end(), position)) {
      wanted = true;
      output.set_logits(true);
      output.set_top(request.top_logprobs);
    }
  }
  if (!wanted) return std::nullopt;
  return output;
}

void Core::AddSpan(Draft& draft, Sequence& sequence, std::uint32_t rows) {
  Place& place = *sequence.place;
  v1::Span& span = *draft.step.add_spans();
  span.set_sequence(place.slot);
  span.set_position(place.position);
  const std::uint32_t end = place.position + rows;
  span.mutable_ids()->Add(sequence.ids.begin() + place.position, sequence.ids.begin() + end);
  std::size_t positions = end;  // that pages are needed for
  const GenerateRequest& request = sequence.request;
  if (!place.started && !request.source_ids.empty()) {
    span.mutable_source_ids()->Add(request.source_ids.begin(), request.source_ids.end());
    draft.sources += request.source_ids.size();
    positions = std::max(positions, request.source_ids.size());
  }
  if (!request.types.empty()) {
    for (std::uint32_t position = place.position; position < end; ++position) {
      span.add_types(position < request.types.size() ? request.types[position] : 0);
    }
  }
  for (; place.pages_sent * pool_->page_positions() < positions; ++place.pages_sent) {
    span.add_pages(place.pages[place.pages_sent]);
  }
  if (!place.started) {
    v1::SequenceStart& start = *span.mutable_start();
    start.mutable_known_ids()->Add(sequence.ids.begin(), sequence.ids.begin() + place.position);
    if (plan_.draws) *start.mutable_sampling() = request.sampling;
    start.set_request_id(request.request_id);
    start.set_prompt_ids(static_cast<std::uint32_t>(request.prompt_ids.size()));
  }
  for (std::uint32_t row = 0; row < rows; ++row) {
    std::optional<v1::Output> output = OutputAt(sequence, place.position + row);
    if (!output) continue;
    output->set_row(row);
    *span.add_outputs() = std::move(*output);
    draft.record.outputs.push_back({draft.record.parts.size(), place.slot, place.position + row});
  }
  draft.record.parts.push_back({sequence.id, place.number, place.position, rows});
  draft.rows += rows;
  place.started = true;
  place.position = end;
  place.last_step = steps_ + 1;
}

}  // namespace bramble::coordinator
