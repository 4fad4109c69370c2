#include "proto/program/slice.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "proto/program/limits.h"
#include "proto/program/references.h"
#include "proto/program/schedule.h"
#include "proto/program/slice_analysis.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

// Where each member's part of `pieces` equal pieces ends; one more than members, from 0.
std::vector<std::uint32_t> Ends(const std::vector<std::uint32_t>& shares, std::uint32_t pieces) {
  std::uint64_t total = 0;
  for (const std::uint32_t share : shares) total += share;
  std::vector<std::uint32_t> ends = {0};
  std::uint64_t sum = 0;
  for (const std::uint32_t share : shares) {
    sum += share;
    ends.push_back(static_cast<std::uint32_t>((sum * pieces + total / 2) / total));
  }
  return ends;
}

// The tables, matrices and vectors of a member's program, each once.
class SlicedWeights {
 public:
  SlicedWeights(const v1::Program& program, const HashOfRows& hash, v1::Program* out)
      : program_(program), hash_(hash), out_(out) {}

  std::uint32_t Whole(std::uint32_t weight) {
    return Rows(weight, 0, program_.weights(static_cast<int>(weight)).shape(0));
  }

  // Rows first .. first + count - 1 of a weight. A failure is kept in `status`.
  std::uint32_t Rows(std::uint32_t weight, std::uint64_t first, std::uint64_t count) {
    const auto [place, is_new] = indices_.try_emplace(
        std::tuple(weight, first, count), static_cast<std::uint32_t>(out_->weights_size()));
    if (is_new) Add(program_.weights(static_cast<int>(weight)), first, count);
    return place->second;
  }

  const Status& status() const { return status_; }

 private:
  void Add(const v1::Weight& weight, std::uint64_t first, std::uint64_t count) {
    v1::Weight& part = *out_->add_weights();
    part = weight;
    const std::uint64_t rows = weight.shape(0);
    if (count == rows) return;
    part.set_shape(0, count);
    if (!weight.data().empty()) {
      const std::uint64_t row_bytes = weight.data().size() / rows;
      part.set_data(weight.data().substr(first * row_bytes, count * row_bytes));
    }
    Result<std::string> hash = hash_(weight, first, count);
    if (hash.ok()) {
      part.set_sha256(*std::move(hash));
    } else if (status_.ok()) {
      status_ = hash.status();
    }
  }

  const v1::Program& program_;
  const HashOfRows& hash_;
  v1::Program* out_;
  std::map<std::tuple<std::uint32_t, std::uint64_t, std::uint64_t>, std::uint32_t> indices_;
  Status status_;
};

// Tables that only member 0 holds: it looks up for all.
std::set<std::uint32_t> LargeTables(const v1::Program& program, const SliceOptions& options) {
  std::set<std::uint32_t> tables;
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_embed()) continue;
      const v1::Weight& table = program.weights(static_cast<int>(op.embed().table()));
      if (table.shape(0) * table.shape(1) >= options.smallest_product) {
        tables.insert(op.embed().table());
      }
    }
  }
  return tables;
}

class BlockSlicer {
 public:
  BlockSlicer(const v1::Program& program, const v1::Block& block, const SliceOptions& options,
              std::uint32_t member, const std::set<std::uint32_t>& tables, SlicedWeights* weights,
              v1::Program* out, std::uint32_t* meetings)
      : program_(program),
        block_(block),
        options_(options),
        member_(member),
        analysis_(program, block, options.smallest_product),
        tables_(tables),
        weights_(weights),
        out_(out),
        made_(*out->add_blocks()),
        meetings_(meetings),
        whole_(static_cast<std::size_t>(block.values_size()), kNone),
        part_(static_cast<std::size_t>(block.values_size()), kNone) {}

  void Slice() {
    made_.set_name(block_.name());
    for (const v1::Port& port : block_.inputs()) {
      whole_[port.value()] = AddValue(port.value(), Value(port.value()).width());
      AddPort(made_.add_inputs(), port);
    }
    for (const v1::Operation& op : block_.operations()) Add(op);
    for (const v1::Port& port : block_.outputs()) {
      Gather(port.value());
      AddPort(made_.add_outputs(), port);
    }
  }

 private:
  const v1::Value& Value(std::uint32_t value) const {
    return block_.values(static_cast<int>(value));
  }

  std::uint32_t AddValue(std::uint32_t of, std::uint32_t width) {
    v1::Value& value = *made_.add_values();
    value = Value(of);
    value.set_width(width);
    return static_cast<std::uint32_t>(made_.values_size() - 1);
  }

  void AddPort(v1::Port* made, const v1::Port& port) {
    made->set_stream(port.stream());
    made->set_value(whole_[port.value()]);
  }

  // The part [first, last) of `of` equal pieces that this member has.
  struct Part {
    std::uint32_t first = 0;
    std::uint32_t last = 0;
    std::uint32_t of = 1;
    bool empty() const { return first == last; }
    std::uint64_t First(std::uint64_t count) const { return count / of * first; }
    std::uint64_t Count(std::uint64_t count) const { return count / of * (last - first); }
  };
  Part OwnPart(std::uint32_t pieces) const {
    const std::vector<std::uint32_t> ends = Ends(options_.shares, pieces);
    return {ends[member_], ends[member_ + 1], pieces};
  }

  // The columns that each member has of `pieces` equal pieces of a value.
  std::vector<std::uint32_t> ColumnsOf(std::uint32_t value, std::uint32_t pieces) const {
    const std::vector<std::uint32_t> ends = Ends(options_.shares, pieces);
    std::vector<std::uint32_t> columns;
    for (std::size_t i = 0; i + 1 < ends.size(); ++i) {
      columns.push_back(Value(value).width() / pieces * (ends[i + 1] - ends[i]));
    }
    return columns;
  }

  // Makes the whole of a value of which each member has so many columns, and this one `part`
  // (kNone: nothing). Of what is only drawn from, member 0 alone has the whole then.
  void Meet(std::uint32_t value, std::uint32_t part, const std::vector<std::uint32_t>& columns) {
    met_.insert(value);
    const std::uint32_t number = (*meetings_)++;
    const bool receives = member_ == 0 || !analysis_.IsDrawnFrom(value);
    if (part == kNone && !receives) return;
    v1::Operation& op = *made_.add_operations();
    op.set_name("meet_" + Value(value).name().substr(0, kMaxName / 2));
    v1::Meet& meet = *op.mutable_meet();
    meet.mutable_columns()->Assign(columns.begin(), columns.end());
    meet.set_member(member_);
    meet.set_form(analysis_.TravelsAsA8(value) ? v1::INPUT_FORM_A8_32 : v1::INPUT_FORM_F32);
    if (analysis_.IsDrawnFrom(value)) meet.set_receiver(0);
    meet.set_number(number);
    if (part != kNone) op.add_inputs(part);
    if (!receives) return;
    whole_[value] = AddValue(value, Value(value).width());
    op.add_outputs(whole_[value]);
  }

  // Sees to it that the whole value is there, but for what only member 0 reads.
  void Gather(std::uint32_t value) {
    if (whole_[value] != kNone || met_.count(value) != 0) return;
    Meet(value, part_[value], ColumnsOf(value, analysis_.Pieces(value)));
  }

  void Add(const v1::Operation& op) {
    const bool cut = op.outputs_size() == 1 && analysis_.Pieces(op.outputs(0)) > 1;
    if (op.has_linear()) return AddLinear(op, cut);
    if (cut) return AddPart(op);
    for (const std::uint32_t input : op.inputs()) Gather(input);
    if (op.has_sample() && member_ != 0) return;
    if (op.has_embed() && tables_.count(op.embed().table()) > 0) return AddTable(op);
    AddWhole(op);
  }

  void AddWhole(const v1::Operation& op) {
    v1::Operation made = op;
    for (std::uint32_t& input : *made.mutable_inputs()) input = whole_[input];
    for (std::uint32_t& output : *made.mutable_outputs()) {
      whole_[output] = AddValue(output, Value(output).width());
      output = whole_[output];
    }
    MapWeights(made, [this](std::uint32_t weight) { return weights_->Whole(weight); });
    MapCaches(made, [this](std::uint32_t cache) { return AddCache(cache, 1, 1); });
    *made_.add_operations() = std::move(made);
  }

  // Member 0 looks up for all.
  void AddTable(const v1::Operation& op) {
    const std::uint32_t value = op.outputs(0);
    std::vector<std::uint32_t> columns(options_.shares.size(), 0);
    columns[0] = Value(value).width();
    if (member_ == 0) {
      v1::Operation made = op;
      part_[value] = AddValue(value, columns[0]);
      made.set_outputs(0, part_[value]);
      MapWeights(made, [this](std::uint32_t weight) { return weights_->Whole(weight); });
      *made_.add_operations() = std::move(made);
    }
    Meet(value, part_[value], columns);
  }

  void AddLinear(const v1::Operation& op, bool cut) {
    const std::uint32_t value = op.outputs(0);
    Gather(op.inputs(0));
    const std::uint32_t pieces = cut ? analysis_.Pieces(value) : analysis_.PiecesOfProduct(op);
    if (pieces == 1) return AddWhole(op);
    const Part part = OwnPart(pieces);
    if (!part.empty()) {
      const std::uint64_t width = Value(value).width();
      v1::Operation made = op;
      made.set_inputs(0, whole_[op.inputs(0)]);
      part_[value] = AddValue(value, static_cast<std::uint32_t>(part.Count(width)));
      made.set_outputs(0, part_[value]);
      MapWeights(made, RowsOf(part, width));
      *made_.add_operations() = std::move(made);
    }
    if (!cut) Meet(value, part_[value], ColumnsOf(value, pieces));
  }

  // The part's rows of a weight that has `width` of them.
  IndexMap RowsOf(const Part& part, std::uint64_t width) {
    return [this, part, width](std::uint32_t weight) {
      const bool has_all = program_.weights(static_cast<int>(weight)).shape(0) == width;
      // Member 0 has the large tables: their first rows need not lie there a second time.
      const bool is_here = member_ == 0 && tables_.count(weight) > 0;
      if (!has_all || is_here) return weights_->Whole(weight);
      return weights_->Rows(weight, part.First(width), part.Count(width));
    };
  }

  // An operation whose inputs and output are cut alike.
  void AddPart(const v1::Operation& op) {
    const std::uint32_t value = op.outputs(0);
    const std::uint64_t width = Value(value).width();
    const Part part = OwnPart(analysis_.Pieces(value));
    if (part.empty()) return;
    v1::Operation made = op;
    for (std::uint32_t& input : *made.mutable_inputs()) input = part_[input];
    part_[value] = AddValue(value, static_cast<std::uint32_t>(part.Count(width)));
    made.set_outputs(0, part_[value]);
    std::uint64_t rows = width;  // of a weight that is cut
    if (made.has_norm()) {
      made.mutable_norm()->set_groups(CountOf(part, op.norm().groups()));
    } else if (made.has_rope()) {
      made.mutable_rope()->set_heads(CountOf(part, op.rope().heads()));
      rows = 0;
    } else if (made.has_attention()) {
      made.mutable_attention()->set_heads(CountOf(part, op.attention().heads()));
      rows = op.attention().heads();
    }
    MapWeights(made, RowsOf(part, rows));
    MapCaches(made, [&](std::uint32_t cache) {
      return AddCache(cache, part.last - part.first, part.of);
    });
    *made_.add_operations() = std::move(made);
  }

  static std::uint32_t CountOf(const Part& part, std::uint32_t count) {
    return static_cast<std::uint32_t>(part.Count(count));
  }

  // A cache with `pieces` of `of` of its heads. Only this block uses it, and cuts it in one way.
  std::uint32_t AddCache(std::uint32_t cache, std::uint32_t pieces, std::uint32_t of) {
    const auto [place, is_new] =
        caches_.try_emplace(cache, static_cast<std::uint32_t>(out_->caches_size()));
    if (is_new) {
      v1::Cache& made = *out_->add_caches();
      made = program_.caches(static_cast<int>(cache));
      if (made.has_key_value()) {
        made.mutable_key_value()->set_kv_heads(made.key_value().kv_heads() / of * pieces);
      }
    }
    return place->second;
  }

  const v1::Program& program_;
  const v1::Block& block_;
  const SliceOptions& options_;
  const std::uint32_t member_;
  const SliceAnalysis analysis_;
  const std::set<std::uint32_t>& tables_;
  SlicedWeights* weights_;
  v1::Program* out_;
  v1::Block& made_;
  std::uint32_t* meetings_;
  std::vector<std::uint32_t> whole_;  // [old value]: the new one that holds all of it, or kNone
  std::vector<std::uint32_t> part_;   // [old value]: the new one that holds this member's part
  std::set<std::uint32_t> met_;
  std::map<std::uint32_t, std::uint32_t> caches_;
};

}  // namespace

Result<v1::Program> MakeSlice(const v1::Program& program, const SliceOptions& options,
                              std::uint32_t member, const HashOfRows& hash) {
  v1::Program slice;
  slice.set_version(program.version());
  slice.set_name(program.name());
  slice.set_context_length(program.context_length());
  slice.set_vocabulary_size(program.vocabulary_size());
  if (program.has_start_id()) slice.set_start_id(program.start_id());
  *slice.mutable_streams() = program.streams();
  const std::set<std::uint32_t> tables = LargeTables(program, options);
  SlicedWeights weights(program, hash, &slice);
  std::uint32_t meetings = 0;
  for (const v1::Block& block : program.blocks()) {
    BlockSlicer(program, block, options, member, tables, &weights, &slice, &meetings).Slice();
  }
  RETURN_IF_ERROR(weights.status());
  return slice;
}

}  // namespace bramble::program
