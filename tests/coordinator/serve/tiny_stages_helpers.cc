#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <stdexcept>

#include "tests/coordinator/serve/tiny_stages.h"

namespace bramble::coordinator {
namespace {

std::uint64_t Mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t x = a * 0x9e3779b97f4a7c15ULL + b + 0x632be59bd9b4e019ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

void Require(bool condition, const char* what) {
  if (!condition) throw std::logic_error(std::string("the step breaks the protocol: ") + what);
}

double LogSum(const std::vector<float>& logits) {
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  return std::log(sum);
}

}  // namespace

TinyStages::TinyStages(const v1::Limits& limits, std::uint32_t vocabulary_size)
    : limits_(limits),
      vocabulary_size_(vocabulary_size),
      cells_(std::size_t{limits.pages()} * limits.page_positions()) {}

void TinyStages::Send(v1::Step step) {
  Require(step.number() == last_number_ + 1, "numbers rise by one");
  last_number_ = step.number();
  CheckStep(step);
  queue_.push_back(std::move(step));
}

void TinyStages::CheckStep(const v1::Step& step) const {
  int rows = 0;
  int outputs = 0;
  std::set<std::uint32_t> slots;
  for (const v1::Span& span : step.spans()) {
    Require(span.sequence() < limits_.max_sequences(), "slots are below max_sequences");
    Require(slots.insert(span.sequence()).second, "a sequence has one span of a step");
    Require(span.ids_size() > 0, "a span has rows");
    rows += span.ids_size();
    outputs += span.outputs_size();
    for (const std::uint32_t id : span.ids()) Require(id < vocabulary_size_, "ids are known");
    for (const std::uint32_t page : span.pages()) Require(page < limits_.pages(), "pages exist");
    for (int i = 0; i < span.outputs_size(); ++i) {
      Require(span.outputs(i).row() < static_cast<std::uint32_t>(span.ids_size()), "output's row");
      Require(i == 0 || span.outputs(i).row() > span.outputs(i - 1).row(), "outputs rise");
    }
  }
  Require(rows > 0 && rows <= static_cast<int>(limits_.max_rows()), "rows are at most max_rows");
  Require(outputs <= static_cast<int>(limits_.max_outputs()), "outputs are at most max_outputs");
}

v1::Step TinyStages::Pop() {
  v1::Step step = std::move(queue_.front());
  queue_.pop_front();
  for (const std::uint32_t slot : step.closed()) open_.erase(slot);
  return step;
}

TinyStages::Answer TinyStages::Run() {
  const v1::Step step = Pop();
  v1::StepFailure failure;
  failure.set_epoch(step.epoch());
  failure.set_number(step.number());
  for (const v1::Span& span : step.spans()) {
    // A worker that has not seen the rows before can't go on: the step fails, as a real one's does.
    const auto open = open_.find(span.sequence());
    const std::size_t expected = span.has_start()
                                     ? static_cast<std::size_t>(span.start().known_ids_size())
                                     : (open == open_.end() ? SIZE_MAX : open->second.ids.size());
    if (expected == span.position()) continue;
    failure.set_code(9);
    failure.set_message("a span does not begin where its sequence ended");
    return failure;
  }
  v1::StepResult result;
  result.set_epoch(step.epoch());
  result.set_number(step.number());
  for (const v1::Span& span : step.spans()) TakeSpan(span);
  for (const v1::Span& span : step.spans()) {
    for (const v1::Output& output : span.outputs()) *result.add_outputs() = Produce(span, output);
  }
  v1::StageTime* time = result.add_stages();
  time->set_compute_us(1000);
  return result;
}

v1::StepFailure TinyStages::Fail(std::optional<std::uint32_t> guilty_slot,
                                 const std::string& message) {
  const v1::Step step = Pop();
  v1::StepFailure failure;
  failure.set_epoch(step.epoch());
  failure.set_number(step.number());
  failure.set_code(13);
  failure.set_message(message);
  if (guilty_slot) failure.set_sequence(*guilty_slot);
  return failure;
}

void TinyStages::TakeSpan(const v1::Span& span) {
  if (span.has_start()) {
    Require(open_.count(span.sequence()) == 0, "a slot is closed before it is used again");
    Sequence& fresh = open_[span.sequence()];
    fresh.ids.assign(span.start().known_ids().begin(), span.start().known_ids().end());
    fresh.sampling = span.start().sampling();
    fresh.prompt_ids = span.start().prompt_ids();
  }
  Sequence& sequence = open_.at(span.sequence());
  for (const std::uint32_t page : span.pages()) sequence.pages.push_back(page);
  for (const std::uint32_t id : span.ids()) {
    const std::size_t position = sequence.ids.size();
    sequence.ids.push_back(id);
    const std::uint64_t before = position == 0 ? 1 : Cell(sequence, position - 1);
    Cell(sequence, position) = Mix(before, id);
  }
}

std::uint64_t& TinyStages::Cell(const Sequence& sequence, std::size_t position) {
  const std::size_t size = limits_.page_positions();
  Require(position / size < sequence.pages.size(), "a row has a page");
  return cells_[sequence.pages[position / size] * size + position % size];
}

std::vector<float> TinyStages::Logits(const Sequence& sequence, std::size_t position) {
  std::uint64_t seen = 7;
  for (std::size_t p = 0; p <= position; ++p) seen = Mix(seen, Cell(sequence, p));
  std::vector<float> logits(vocabulary_size_);
  for (std::uint32_t id = 0; id < vocabulary_size_; ++id) {
    logits[id] = static_cast<float>(Mix(seen, id) % 4096) / 512.0F;
  }
  return logits;
}

v1::OutputResult TinyStages::Produce(const v1::Span& span, const v1::Output& output) {
  const Sequence& sequence = open_.at(span.sequence());
  const std::size_t position = span.position() + output.row();
  const std::vector<float> logits = Logits(sequence, position);
  const double sum = LogSum(logits);
  v1::OutputResult result;
  result.set_sequence(span.sequence());
  result.set_position(static_cast<std::uint32_t>(position));
  std::vector<std::uint32_t> order(vocabulary_size_);
  for (std::uint32_t id = 0; id < vocabulary_size_; ++id) order[id] = id;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return logits[a] > logits[b]; });
  if (output.draw()) {
    const std::size_t outputs_before = sequence.ids.size() - sequence.prompt_ids;
    const bool greedy = sequence.sampling.temperature() == 0;
    const std::size_t rank =
        greedy ? 0 : Mix(sequence.sampling.seed(), outputs_before) % vocabulary_size_;
    result.set_id(order[rank]);
    if (output.logprob()) result.set_logprob(logits[order[rank]] - sum);
  }
  for (std::uint32_t i = 0; i < output.top(); ++i) {
    v1::TopEntry& entry = *result.add_top();
    entry.set_id(order[i]);
    entry.set_logprob(logits[order[i]] - sum);
  }
  if (output.has_target()) result.set_target_logprob(logits[output.target()] - sum);
  if (output.logits()) {
    result.set_logits(
        std::string(reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)));
  }
  return result;
}

}  // namespace bramble::coordinator
