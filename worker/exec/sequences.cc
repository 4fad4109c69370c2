#include "worker/exec/sequences.h"

#include <algorithm>
#include <cmath>

#include "common/check.h"
#include "proto/program/memory.h"

namespace bramble::worker {
namespace {

constexpr std::uint32_t kMaxTop = 20;
constexpr int kMaxBiases = 1 << 16;

Status Range(const char* field, float value, float least, float most) {
  if (value >= least && value <= most) return {};  // false for NaN
  return Invalid("start.sampling.", field, " is ", value, ", must be ", least, " to ", most);
}

// Token types that every table of the program has an entry for.
std::uint64_t CountTypes(const v1::Program& program) {
  std::uint64_t types = UINT32_MAX;
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_embed() || op.embed().source() != v1::Embed::SOURCE_TYPE) continue;
      types = std::min(types, program.weights(static_cast<int>(op.embed().table())).shape(0));
    }
  }
  return types;
}

}  // namespace

Sequences::Sequences(const v1::Program& program, const v1::Limits& limits, std::byte* memory,
                     std::byte* cache, std::size_t page_bytes)
    : limits_(limits),
      traits_(program::TraitsOf(program)),
      context_length_(program.context_length()),
      vocabulary_size_(program.vocabulary_size()),
      types_(CountTypes(program)),
      cache_(cache),
      page_bytes_(page_bytes),
      states_(cache + page_bytes * limits.pages()),
      state_bytes_(program::LayOutStates(program).sequence_bytes),
      sequences_(limits.max_sequences()),
      holders_(limits.pages()),
      in_step_(limits.max_sequences()) {
  const std::uint64_t bytes = program::SequenceBytes(program, limits);
  const std::uint64_t pages = program::PagesPerSequence(program, limits);
  for (std::size_t i = 0; i < sequences_.size(); ++i) {
    std::byte* begin = memory + i * bytes;
    sequences_[i].pages = {reinterpret_cast<std::byte**>(begin), pages};
    sequences_[i].ids = {reinterpret_cast<std::uint32_t*>(begin + pages * sizeof(std::byte*)),
                         context_length_};
  }
  rows_.reserve(limits.max_rows());
  if (traits_.source) sources_.reserve(limits.max_rows());
  spans_.reserve(limits.max_sequences());
  outputs_.reserve(limits.max_outputs());
}

Status Sequences::Close(const v1::Step& step) {
  for (int i = 0; i < step.closed_size(); ++i) {
    if (step.closed(i) >= limits_.max_sequences()) {
      return Invalid("closed[", i, "] is ", step.closed(i), ", slots end at ",
                     limits_.max_sequences());
    }
  }
  for (const std::uint32_t slot : step.closed()) {
    Sequence& sequence = sequences_[slot];
    GiveBack(sequence);
    sequence.open = false;
    sequence.lost = false;
    sequence.length = 0;
    sequence.source_length = 0;
    sequence.page_count = 0;
    sequence.sampling.Clear();
  }
  return {};
}

Status Sequences::Begin(const v1::Step& step) {
  ++begins_;
  rows_.clear();
  sources_.clear();
  spans_.clear();
  outputs_.clear();
  Counts counts;
  for (int i = 0; i < step.spans_size(); ++i) {
    const v1::Span& span = step.spans(i);
    Status status = CheckSpan(span, &counts);
    if (status.ok() && in_step_[span.sequence()] == begins_) {
      status = Invalid("sequence ", span.sequence(), " has a span already");
    }
    if (!status.ok()) return status.WithContext("span " + std::to_string(i));
    in_step_[span.sequence()] = begins_;
  }
  for (const v1::Span& span : step.spans()) TakeOver(span);
  return {};
}

Status Sequences::Count(const v1::Span& span, Counts* counts) const {
  const auto count = static_cast<std::uint64_t>(span.ids_size());
  counts->rows += count;
  if (counts->rows > limits_.max_rows()) {
    return Invalid("ids bring the step to ", counts->rows, " rows, at most ", limits_.max_rows());
  }
  counts->sources += static_cast<std::uint64_t>(span.source_ids_size());
  if (counts->sources > limits_.max_rows()) {
    return Invalid("source_ids bring the step to ", counts->sources, ", at most ",
                   limits_.max_rows());
  }
  counts->outputs += static_cast<std::uint64_t>(span.outputs_size());
  if (counts->outputs > limits_.max_outputs()) {
    return Invalid("outputs bring the step to ", counts->outputs, ", at most ",
                   limits_.max_outputs());
  }
  if (span.position() + count > context_length_) {
    return Invalid("ids end at position ", span.position() + count, ", the context at ",
                   context_length_);
  }
  if (static_cast<std::uint64_t>(span.source_ids_size()) > context_length_) {
    return Invalid("source_ids are ", span.source_ids_size(), ", the context ends at ",
                   context_length_);
  }
  return {};
}

Status Sequences::CheckSpan(const v1::Span& span, Counts* counts) const {
  if (span.sequence() >= limits_.max_sequences()) {
    return Invalid("sequence is ", span.sequence(), ", slots end at ", limits_.max_sequences());
  }
  if (span.ids_size() == 0) return Invalid("has no ids");
  RETURN_IF_ERROR(Count(span, counts));
  RETURN_IF_ERROR(CheckTraits(span));
  const Sequence& sequence = sequences_[span.sequence()];
  if (span.has_start()) {
    if (sequence.open) return Invalid("start: sequence ", span.sequence(), " is open already");
    RETURN_IF_ERROR(CheckStart(span));
    RETURN_IF_ERROR(CheckPages(span, 0));
  } else {
    if (!sequence.open) return Invalid("sequence ", span.sequence(), " has not been started");
    if (span.position() > sequence.length) {
      return Invalid("position is ", span.position(), ", only positions below ", sequence.length,
                     " are known");
    }
    RETURN_IF_ERROR(CheckPages(span, sequence.page_count));
  }
  RETURN_IF_ERROR(CheckIds("ids", span.ids()));
  RETURN_IF_ERROR(CheckIds("source_ids", span.source_ids()));
  RETURN_IF_ERROR(CheckTypes(span));
  return CheckOutputs(span);
}

// What the program needs of a span beyond what every one does.
Status Sequences::CheckTraits(const v1::Span& span) const {
  const Sequence& sequence = sequences_[span.sequence()];
  const bool whole = span.has_start() && span.position() == 0;
  if (traits_.whole_sequences && !whole) {
    return Invalid("begins at position ", span.position(),
                   ": this program takes each sequence whole, in the span that starts it");
  }
  if ((traits_.states || traits_.source) && span.has_start() && span.position() != 0) {
    return Invalid("start: this program's sequences start at position 0, not at ", span.position());
  }
  if (traits_.states && !span.has_start() && span.position() != sequence.length) {
    return Invalid("position is ", span.position(), ", the states are those of ", sequence.length);
  }
  if (sequence.lost && !span.has_start()) {
    return Invalid("sequence ", span.sequence(),
                   " has lost its states with a step that failed: it must be closed");
  }
  if (span.source_ids_size() > 0 && !span.has_start()) {
    return Invalid("source_ids come with the start only");
  }
  if (traits_.source && span.has_start() && span.source_ids_size() == 0) {
    return Invalid("has no source_ids, and this program reads a source");
  }
  return {};
}

Status Sequences::CheckTypes(const v1::Span& span) const {
  if (span.types_size() == 0) return {};
  if (span.types_size() != span.ids_size()) {
    return Invalid("has ", span.types_size(), " types for ", span.ids_size(), " ids");
  }
  for (int i = 0; i < span.types_size(); ++i) {
    if (span.types(i) >= types_) {
      return Invalid("types[", i, "] is ", span.types(i), ", types end at ", types_);
    }
  }
  return {};
}

Status Sequences::CheckStart(const v1::Span& span) const {
  const v1::SequenceStart& start = span.start();
  if (static_cast<std::uint64_t>(start.known_ids_size()) != span.position()) {
    return Invalid("start.known_ids has ", start.known_ids_size(), " ids, position is ",
                   span.position());
  }
  RETURN_IF_ERROR(CheckIds("start.known_ids", start.known_ids()));
  if (start.prompt_ids() > context_length_) {
    return Invalid("start.prompt_ids is ", start.prompt_ids(), ", the context ends at ",
                   context_length_);
  }
  return start.has_sampling() ? CheckSampling(start.sampling()) : Status();
}

Status Sequences::CheckPages(const v1::Span& span, std::uint64_t known_pages) const {
  for (int i = 0; i < span.pages_size(); ++i) {
    if (span.pages(i) >= limits_.pages()) {
      return Invalid("pages[", i, "] is ", span.pages(i), ", pages end at ", limits_.pages());
    }
  }
  const std::uint64_t pages = known_pages + static_cast<std::uint64_t>(span.pages_size());
  if (pages > sequences_[span.sequence()].pages.size()) {
    return Invalid("pages bring the sequence to ", pages, ", the context needs ",
                   sequences_[span.sequence()].pages.size());
  }
  const std::uint64_t end = std::max(span.position() + static_cast<std::uint64_t>(span.ids_size()),
                                     static_cast<std::uint64_t>(span.source_ids_size()));
  if (pages * limits_.page_positions() < end) {
    return Invalid("pages: ", pages, " of ", limits_.page_positions(),
                   " positions do not reach position ", end - 1);
  }
  return {};
}

Status Sequences::CheckIds(const char* field,
                           const google::protobuf::RepeatedField<std::uint32_t>& ids) const {
  // A program without a vocabulary does not look at ids.
  if (vocabulary_size_ == 0) return {};
  for (int i = 0; i < ids.size(); ++i) {
    if (ids.Get(i) >= vocabulary_size_) {
      return Invalid(field, "[", i, "] is ", ids.Get(i), ", the vocabulary ends at ",
                     vocabulary_size_);
    }
  }
  return {};
}

Status Sequences::CheckOutputs(const v1::Span& span) const {
  for (int i = 0; i < span.outputs_size(); ++i) {
    const v1::Output& output = span.outputs(i);
    const std::string path = "outputs[" + std::to_string(i) + "]";
    if (output.row() >= static_cast<std::uint32_t>(span.ids_size())) {
      return Invalid(path, ".row is ", output.row(), ", the span has ", span.ids_size(), " rows");
    }
    if (i > 0 && output.row() <= span.outputs(i - 1).row()) {
      return Invalid(path, ".row is ", output.row(), ": rows must rise");
    }
    if (output.top() > kMaxTop) {
      return Invalid(path, ".top is ", output.top(), ", at most ", kMaxTop);
    }
    if (output.has_target() && output.target() >= vocabulary_size_) {
      return Invalid(path, ".target is ", output.target(), ", the vocabulary ends at ",
                     vocabulary_size_);
    }
  }
  return {};
}

Status Sequences::CheckSampling(const v1::Sampling& sampling) const {
  constexpr float kMost = 1e9F;
  RETURN_IF_ERROR(Range("temperature", sampling.temperature(), 0, kMost));
  RETURN_IF_ERROR(Range("top_p", sampling.top_p(), 0, 1));
  RETURN_IF_ERROR(Range("min_p", sampling.min_p(), 0, 1));
  RETURN_IF_ERROR(Range("repetition_penalty", sampling.repetition_penalty(), 1e-9F, kMost));
  RETURN_IF_ERROR(Range("presence_penalty", sampling.presence_penalty(), -kMost, kMost));
  RETURN_IF_ERROR(Range("frequency_penalty", sampling.frequency_penalty(), -kMost, kMost));
  if (sampling.bias_size() > kMaxBiases || sampling.ids_after_minimum_size() > kMaxBiases) {
    return Invalid("start.sampling has more than ", kMaxBiases, " biases or ids_after_minimum");
  }
  for (int i = 0; i < sampling.bias_size(); ++i) {
    if (sampling.bias(i).id() >= vocabulary_size_ || !std::isfinite(sampling.bias(i).value())) {
      return Invalid("start.sampling.bias[", i, "] is id ", sampling.bias(i).id(), ", value ",
                     sampling.bias(i).value(), ": the vocabulary ends at ", vocabulary_size_,
                     ", the value must be finite");
    }
  }
  return CheckIds("start.sampling.ids_after_minimum", sampling.ids_after_minimum());
}

void Sequences::TakeOver(const v1::Span& span) {
  Sequence& sequence = sequences_[span.sequence()];
  if (span.has_start()) {
    sequence.open = true;
    sequence.page_count = 0;
    sequence.prompt_ids = span.start().prompt_ids();
    sequence.sampling = span.start().sampling();
    if (!span.start().has_sampling()) sequence.sampling.set_repetition_penalty(1);
    std::uint32_t position = 0;
    for (const std::uint32_t id : span.start().known_ids()) sequence.ids[position++] = id;
    sequence.source_length = static_cast<std::uint32_t>(span.source_ids_size());
  }
  for (const std::uint32_t page : span.pages()) {
    if (page_bytes_ != 0 && holders_[page]++ == 0) ++pages_in_use_;
    sequence.pages[sequence.page_count++] = cache_ + std::size_t{page} * page_bytes_;
  }
  const auto first_row = static_cast<std::uint32_t>(rows_.size());
  const auto count = static_cast<std::uint32_t>(span.ids_size());
  std::uint32_t position = span.position();
  const std::uint32_t end = position + count;
  spans_.push_back({span.sequence(), first_row, count, position,
                    states_ + std::size_t{span.sequence()} * state_bytes_});
  sequence.length = position;
  sequence.lost = traits_.states || traits_.source;
  for (int i = 0; i < span.ids_size(); ++i, ++position) {
    sequence.ids[position] = span.ids(i);
    const std::uint32_t type = span.types_size() > 0 ? span.types(i) : 0;
    const std::uint32_t length = std::max(sequence.prompt_ids, position + 1);
    rows_.push_back(
        {span.sequence(), position, span.ids(i), type, length, end, sequence.pages.data()});
  }
  if (traits_.source) {
    std::uint32_t place = 0;
    for (const std::uint32_t id : span.source_ids()) {
      sources_.push_back({span.sequence(), place++, id, 0, sequence.source_length,
                          sequence.source_length, sequence.pages.data()});
    }
  }
  for (const v1::Output& output : span.outputs()) {
    outputs_.push_back({first_row + output.row(), &output});
  }
}

void Sequences::GiveBack(const Sequence& sequence) {
  if (page_bytes_ == 0) return;  // no caches: all pages are the same place
  for (std::uint32_t i = 0; i < sequence.page_count; ++i) {
    const auto page = static_cast<std::size_t>(sequence.pages[i] - cache_) / page_bytes_;
    if (--holders_[page] == 0) --pages_in_use_;
  }
}

void Sequences::Commit() {
  for (const SpanRows& span : spans_) {
    sequences_[span.sequence].length = span.position + span.count;
    sequences_[span.sequence].lost = false;
  }
}

}  // namespace bramble::worker
