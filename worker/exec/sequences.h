#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/status.h"
#include "proto/program/traits.h"

namespace bramble::worker {

// One row of a step: a token's, or a source's. All ids, types, positions and pages have been
// checked.
struct Row {
  std::uint32_t sequence = 0;  // slot
  std::uint32_t position = 0;
  std::uint32_t id = 0;
  std::uint32_t type = 0;
  // Of the sequence as this row sees it: the prompt's length, or its own position's where the
  // answer has grown longer. The same however the prompt is cut into steps.
  std::uint32_t length = 0;
  // One past the last position of the span, or of the source.
  std::uint32_t end = 0;
  // The sequence's pages: page p holds the positions from p * page_positions on, of the tokens and
  // (in cross caches) of the source.
  std::byte* const* pages = nullptr;
};

// The rows of one sequence in a step.
struct SpanRows {
  std::uint32_t sequence = 0;  // slot
  std::uint32_t first = 0;     // into the step's rows
  std::uint32_t count = 0;
  std::uint32_t position = 0;   // of the first
  std::byte* states = nullptr;  // the sequence's; 0 positions known: nothing has written them
};

// An output that the step asks for.
struct OutputRow {
  std::uint32_t row = 0;             // of the step
  const v1::Output* wish = nullptr;  // in the step's message
};

// What is known of one sequence.
struct Sequence {
  bool open = false;
  std::uint32_t length = 0;  // positions known: ids[0 .. length)
  std::uint32_t prompt_ids = 0;
  std::uint32_t source_length = 0;
  std::uint32_t page_count = 0;
  bool lost = false;             // a step failed that has changed what cannot be computed again
  std::span<std::uint32_t> ids;  // room for the context
  std::span<std::byte*> pages;   // room for the context
  v1::Sampling sampling;
};

// The sequences of one shard: their ids, page tables and sampling parameters; and the reading of
// steps, which come from a peer and may say anything. Threads: the compute thread; inside a step
// all may read.
class Sequences {
 public:
  // What the class takes of the executor's memory is given to it: `memory` has room for
  // program::SequenceBytes of each sequence, `cache` for all pages of `page_bytes` and behind them
  // for the states. Both outlive it.
  Sequences(const v1::Program& program, const v1::Limits& limits, std::byte* memory,
            std::byte* cache, std::size_t page_bytes);

  // Drops sequences. InvalidArgument, naming the field, if a slot is beyond the limits; then none
  // is dropped. A slot that is not open may be closed.
  Status Close(const v1::Step& step);

  // Checks all of a step's spans against the limits and what is known, and only then takes them
  // over: starts, pages, ids. After it rows() and outputs() are the step's; they point into `step`.
  Status Begin(const v1::Step& step);

  // Pages that open sequences hold, each once though several may share it.
  std::uint32_t pages_in_use() const { return pages_in_use_; }

  // The step has been computed: its ids count as known.
  void Commit();

  std::span<const Row> rows() const { return rows_; }
  std::span<const Row> sources() const { return sources_; }
  std::span<const SpanRows> spans() const { return spans_; }
  std::span<const OutputRow> outputs() const { return outputs_; }
  const Sequence& at(std::uint32_t slot) const { return sequences_[slot]; }

 private:
  // Rows that a step's spans have together.
  struct Counts {
    std::uint64_t rows = 0;
    std::uint64_t sources = 0;
    std::uint64_t outputs = 0;
  };
  Status Count(const v1::Span& span, Counts* counts) const;
  Status CheckSpan(const v1::Span& span, Counts* counts) const;
  Status CheckTraits(const v1::Span& span) const;
  Status CheckTypes(const v1::Span& span) const;
  Status CheckStart(const v1::Span& span) const;
  Status CheckPages(const v1::Span& span, std::uint64_t known_pages) const;
  Status CheckOutputs(const v1::Span& span) const;
  Status CheckIds(const char* field,
                  const google::protobuf::RepeatedField<std::uint32_t>& ids) const;
  Status CheckSampling(const v1::Sampling& sampling) const;
  void TakeOver(const v1::Span& span);
  void GiveBack(const Sequence& sequence);

  v1::Limits limits_;
  program::Traits traits_;
  std::uint32_t context_length_;
  std::uint32_t vocabulary_size_;
  std::uint64_t types_;  // token types are below it
  std::byte* cache_;
  std::size_t page_bytes_;
  std::byte* states_;
  std::size_t state_bytes_;  // of a sequence
  std::vector<Sequence> sequences_;
  std::vector<std::uint32_t> holders_;  // [page]: how often open sequences have it
  std::uint32_t pages_in_use_ = 0;
  std::vector<std::uint64_t> in_step_;  // [slot]: the last call of Begin that had a span for it
  std::uint64_t begins_ = 0;
  std::vector<Row> rows_;
  std::vector<Row> sources_;
  std::vector<SpanRows> spans_;
  std::vector<OutputRow> outputs_;
};

}  // namespace bramble::worker
