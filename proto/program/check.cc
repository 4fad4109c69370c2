#include "proto/program/check.h"

#include <string>
#include <utility>
#include <vector>

#include "proto/program/limits.h"
#include "proto/program/meet.h"
#include "proto/program/shapes.h"
#include "proto/program/weights.h"

namespace bramble::program {
namespace {

Status CheckCount(const char* what, std::size_t have, std::size_t most) {
  if (have <= most) return {};
  return Invalid("has ", have, " ", what, ", at most ", most, " are allowed");
}

Status CheckName(const std::string& name) {
  return CheckCount("bytes of name", name.size(), kMaxName);
}

Status CheckWidthAndRows(std::uint32_t width, v1::RowKind rows) {
  if (width == 0 || width > kMaxWidth) {
    return Invalid("is ", width, " wide, must be 1 to ", kMaxWidth);
  }
  if (rows == v1::ROW_KIND_TOKEN || rows == v1::ROW_KIND_OUTPUT || rows == v1::ROW_KIND_SEQUENCE ||
      rows == v1::ROW_KIND_SOURCE) {
    return {};
  }
  if (rows != v1::ROW_KIND_UNSPECIFIED && v1::RowKind_IsValid(rows)) {
    return Unimplemented("rows of kind ", v1::RowKind_Name(rows), " are not run by this version");
  }
  return Invalid("row kind ", static_cast<int>(rows), " does not exist");
}

Status CheckHeader(const v1::Program& program) {
  if (program.version() != kVersion) {
    return Unimplemented("instruction set version ", program.version(), ", this is ", kVersion);
  }
  RETURN_IF_ERROR(CheckName(program.name()));
  if (program.context_length() == 0 || program.context_length() > kMaxWidth) {
    return Invalid("context_length is ", program.context_length(), ", must be 1 to ", kMaxWidth);
  }
  if (program.vocabulary_size() > kMaxWidth) {
    return Invalid("vocabulary_size is ", program.vocabulary_size(), ", at most ", kMaxWidth);
  }
  if (program.has_start_id() && program.start_id() >= program.vocabulary_size()) {
    return Invalid("start_id is ", program.start_id(), ", the vocabulary ends at ",
                   program.vocabulary_size());
  }
  if (program.blocks_size() == 0) return Invalid("has no blocks");
  RETURN_IF_ERROR(
      CheckCount("blocks", static_cast<std::size_t>(program.blocks_size()), kMaxBlocks));
  RETURN_IF_ERROR(
      CheckCount("streams", static_cast<std::size_t>(program.streams_size()), kMaxStreams));
  RETURN_IF_ERROR(
      CheckCount("weights", static_cast<std::size_t>(program.weights_size()), kMaxWeights));
  return CheckCount("caches", static_cast<std::size_t>(program.caches_size()), kMaxCaches);
}

// a * b, or false if that is above `most`.
bool Multiply(std::uint64_t a, std::uint64_t b, std::uint64_t most, std::uint64_t* product) {
  if (b != 0 && a > most / b) return false;
  *product = a * b;
  return true;
}

Status CheckWeight(const v1::Weight& weight, std::uint64_t* bytes) {
  RETURN_IF_ERROR(CheckName(weight.name()));
  const kernels::EncodingInfo* info = FindEncoding(weight.encoding());
  if (info == nullptr) {
    if (weight.encoding() == v1::ENCODING_UNSPECIFIED || !v1::Encoding_IsValid(weight.encoding())) {
      return Invalid("encoding ", static_cast<int>(weight.encoding()), " does not exist");
    }
    return Unimplemented("encoding ", v1::Encoding_Name(weight.encoding()),
                         " is not run by this version");
  }
  if (weight.shape_size() < 1 || weight.shape_size() > 4) {
    return Invalid("has ", weight.shape_size(), " dimensions, must have 1 to 4");
  }
  const std::uint64_t columns = weight.shape(weight.shape_size() - 1);
  if (columns % info->block_values != 0) {
    return Invalid("rows of ", columns, " values are not whole blocks of ", info->block_values,
                   " (", info->name, ")");
  }
  if (!Multiply(columns / info->block_values, info->block_bytes, kMaxWeightBytes, bytes)) {
    return Invalid("has more than ", kMaxWeightBytes, " bytes");
  }
  for (int i = 0; i < weight.shape_size(); ++i) {
    if (weight.shape(i) == 0) return Invalid("dimension ", i, " is 0");
    if (i + 1 < weight.shape_size() && !Multiply(*bytes, weight.shape(i), kMaxWeightBytes, bytes)) {
      return Invalid("has more than ", kMaxWeightBytes, " bytes");
    }
  }
  if (weight.sha256().size() != kHashBytes) {
    return Invalid("sha256 has ", weight.sha256().size(), " bytes, must have ", kHashBytes);
  }
  if (weight.data().size() > kMaxInlineBytes) {
    return Invalid("data has ", weight.data().size(), " bytes, at most ", kMaxInlineBytes);
  }
  if (!weight.data().empty() && weight.data().size() != *bytes) {
    return Invalid("data has ", weight.data().size(), " bytes, the shape needs ", *bytes);
  }
  return {};
}

Status CheckWeights(const v1::Program& program) {
  std::uint64_t total = 0;
  for (int i = 0; i < program.weights_size(); ++i) {
    const v1::Weight& weight = program.weights(i);
    std::uint64_t bytes = 0;
    Status status = CheckWeight(weight, &bytes);
    total += bytes;
    if (status.ok() && total > kMaxTotalBytes) {
      status = Invalid("brings all weights above ", kMaxTotalBytes, " bytes");
    }
    if (!status.ok()) {
      return status.WithContext(Printable(weight.name(), "weight", static_cast<std::size_t>(i)));
    }
  }
  return {};
}

Status CheckCache(const v1::Cache& cache) {
  RETURN_IF_ERROR(CheckName(cache.name()));
  if (cache.has_state()) {
    const std::uint64_t numbers = std::uint64_t{cache.state().rows()} * cache.state().width();
    if (numbers >= 1 && numbers <= kMaxWidth) return {};
    return Invalid("a state of ", numbers, " numbers, must have 1 to ", kMaxWidth);
  }
  if (!cache.has_key_value()) return Invalid("has no kind");
  const v1::KeyValueCache& key_value = cache.key_value();
  if (key_value.encoding() != v1::ENCODING_F32 && key_value.encoding() != v1::ENCODING_F16) {
    return Invalid("encoding ", static_cast<int>(key_value.encoding()), ": must be F32 or F16");
  }
  const std::uint32_t dims[] = {key_value.kv_heads(), key_value.key_dim(), key_value.value_dim()};
  for (const std::uint32_t dim : dims) {
    if (dim == 0 || dim > kMaxWidth) {
      return Invalid("kv_heads, key_dim and value_dim must be 1 to ", kMaxWidth);
    }
  }
  if (std::uint64_t{dims[0]} * dims[1] > kMaxWidth ||
      std::uint64_t{dims[0]} * dims[2] > kMaxWidth) {
    return Invalid("keys or values of a position are more than ", kMaxWidth, " numbers");
  }
  return {};
}

Status CheckCaches(const v1::Program& program) {
  for (int i = 0; i < program.caches_size(); ++i) {
    RETURN_IF_ERROR(CheckCache(program.caches(i))
                        .WithContext(Printable(program.caches(i).name(), "cache",
                                               static_cast<std::size_t>(i))));
  }
  return {};
}

// What is found out while the blocks are walked in order.
struct Walk {
  std::vector<bool> stream_written;
  std::vector<bool> stream_read;
  std::vector<int> cache_block;    // -1: no block has used it
  std::vector<bool> cache_filled;  // an attention has appended to it
  std::size_t operations = 0;
  std::size_t values = 0;
  bool sampled = false;
  const v1::Meet* meeting = nullptr;  // the last one
};

// The rows that a result of this kind has.
Status CheckResult(const v1::Stream& stream) {
  v1::RowKind rows = v1::ROW_KIND_SEQUENCE;
  switch (stream.result()) {
    case v1::RESULT_KIND_UNSPECIFIED:
      return {};
    case v1::RESULT_KIND_EMBEDDING:
    case v1::RESULT_KIND_HEAD:
      break;
    case v1::RESULT_KIND_HIDDEN:
      rows = v1::ROW_KIND_OUTPUT;
      break;
    default:
      return Invalid("result ", static_cast<int>(stream.result()), " does not exist");
  }
  if (!stream.leaves()) return Invalid("is a result and does not leave");
  if (stream.rows() == rows) return {};
  return Invalid("a result of this kind needs rows of kind ", v1::RowKind_Name(rows));
}

Status CheckStreams(const v1::Program& program, Walk& walk) {
  const auto count = static_cast<std::size_t>(program.streams_size());
  walk.stream_written.assign(count, false);
  walk.stream_read.assign(count, false);
  for (std::size_t i = 0; i < count; ++i) {
    const v1::Stream& stream = program.streams(static_cast<int>(i));
    Status status = CheckName(stream.name());
    if (status.ok()) status = CheckWidthAndRows(stream.width(), stream.rows());
    if (status.ok()) status = CheckResult(stream);
    if (!status.ok()) return status.WithContext(Printable(stream.name(), "stream", i));
    walk.stream_written[i] = stream.enters();
  }
  return {};
}

// Every index of a port, and that the stream and the value agree.
Status CheckPort(const v1::Program& program, const v1::Block& block, const v1::Port& port) {
  if (port.stream() >= static_cast<std::uint32_t>(program.streams_size())) {
    return Invalid("names stream ", port.stream(), ", the program has ", program.streams_size());
  }
  if (port.value() >= static_cast<std::uint32_t>(block.values_size())) {
    return Invalid("names value ", port.value(), ", the block has ", block.values_size());
  }
  const v1::Stream& stream = program.streams(static_cast<int>(port.stream()));
  const v1::Value& value = block.values(static_cast<int>(port.value()));
  if (stream.width() != value.width() || stream.rows() != value.rows()) {
    return Invalid("joins stream ", port.stream(), " and value ", port.value(),
                   " of different widths or row kinds");
  }
  return {};
}

Status CheckInputPorts(const v1::Program& program, const v1::Block& block, Walk& walk,
                       std::vector<bool>& written) {
  std::vector<std::uint32_t> streams;
  for (int i = 0; i < block.inputs_size(); ++i) {
    const v1::Port& port = block.inputs(i);
    const std::string path = "input " + std::to_string(i);
    RETURN_IF_ERROR(CheckPort(program, block, port).WithContext(path));
    if (!walk.stream_written[port.stream()]) {
      return Invalid(path, ": stream ", port.stream(), " is read before any block writes it");
    }
    for (const std::uint32_t other : streams) {
      if (other == port.stream()) return Invalid(path, ": stream ", other, " enters twice");
    }
    if (written[port.value()]) return Invalid(path, ": value ", port.value(), " is written twice");
    streams.push_back(port.stream());
    walk.stream_read[port.stream()] = true;
    written[port.value()] = true;
  }
  return {};
}

Status CheckOutputPorts(const v1::Program& program, const v1::Block& block, Walk& walk,
                        const std::vector<bool>& written) {
  std::vector<bool> taken(written.size());
  for (const v1::Port& port : block.inputs()) taken[port.value()] = true;
  for (int i = 0; i < block.outputs_size(); ++i) {
    const v1::Port& port = block.outputs(i);
    const std::string path = "output " + std::to_string(i);
    RETURN_IF_ERROR(CheckPort(program, block, port).WithContext(path));
    if (walk.stream_written[port.stream()]) {
      return Invalid(path, ": stream ", port.stream(), " is written twice");
    }
    if (!written[port.value()]) return Invalid(path, ": value ", port.value(), " is not written");
    if (taken[port.value()]) {
      return Invalid(path, ": value ", port.value(), " already belongs to another port");
    }
    taken[port.value()] = true;
    walk.stream_written[port.stream()] = true;
  }
  return {};
}

// Indices of an operation's operands, and the order of writing and reading.
Status CheckOperands(const v1::Block& block, const v1::Operation& op, std::vector<bool>& written) {
  const auto values = static_cast<std::uint32_t>(block.values_size());
  RETURN_IF_ERROR(CheckCount("inputs", static_cast<std::size_t>(op.inputs_size()), kMaxOperands));
  RETURN_IF_ERROR(CheckCount("outputs", static_cast<std::size_t>(op.outputs_size()), kMaxOperands));
  for (const std::uint32_t value : op.inputs()) {
    if (value >= values) return Invalid("reads value ", value, ", the block has ", values);
    if (!written[value]) return Invalid("reads value ", value, " before it is written");
  }
  for (const std::uint32_t value : op.outputs()) {
    if (value >= values) return Invalid("writes value ", value, ", the block has ", values);
    if (written[value]) return Invalid("writes value ", value, ", which is already written");
    written[value] = true;
  }
  return {};
}

// One attention fills a cache, and only its own block reads it: so a program can be cut between any
// two blocks.
Status CheckCacheUse(const v1::Attention& attention, int block, Walk& walk) {
  const std::uint32_t cache = attention.cache();
  if (walk.cache_block[cache] >= 0 && walk.cache_block[cache] != block) {
    return Unimplemented("cache ", cache, " is used by block ", walk.cache_block[cache],
                         " too: a cache shared by blocks is not run by this version");
  }
  walk.cache_block[cache] = block;
  if (attention.appends() && walk.cache_filled[cache]) {
    return Invalid("cache ", cache, " is appended to twice");
  }
  if (!attention.appends() && !walk.cache_filled[cache]) {
    return Invalid("cache ", cache, " is read before anything is appended");
  }
  walk.cache_filled[cache] = true;
  return {};
}

// A state belongs to one operation.
Status CheckStateUse(const v1::Operation& op, int block, Walk& walk) {
  const std::uint32_t cache =
      op.has_convolution() ? op.convolution().cache() : op.recurrence().cache();
  if (walk.cache_filled[cache]) return Invalid("cache ", cache, " is used by two operations");
  walk.cache_block[cache] = block;
  walk.cache_filled[cache] = true;
  return {};
}

// Members that meet in different orders would wait for each other.
Status CheckMeetingOrder(const v1::Meet& meet, Walk& walk) {
  const v1::Meet* last = std::exchange(walk.meeting, &meet);
  if (last == nullptr) return {};
  if (meet.number() <= last->number()) {
    return Invalid("number ", meet.number(), " follows ", last->number(), ", numbers must rise");
  }
  if (meet.member() == last->member() && meet.columns_size() == last->columns_size()) return {};
  return Invalid("member ", meet.member(), " of ", meet.columns_size(), " follows member ",
                 last->member(), " of ", last->columns_size());
}

Status CheckOperation(const v1::Program& program, int block_index, const v1::Operation& op,
                      Walk& walk, std::vector<bool>& written) {
  const v1::Block& block = program.blocks(block_index);
  RETURN_IF_ERROR(CheckName(op.name()));
  const OperationRow* row = FindOperation(op.kind_case());
  if (row == nullptr)
    return Unimplemented("an operation of a kind that this version does not know");
  if (walk.sampled) return Invalid("follows a sample, which ends the program");
  RETURN_IF_ERROR(CheckOperands(block, op, written));
  RETURN_IF_ERROR(row->check(Site{program, block, op}));
  if (op.has_attention()) RETURN_IF_ERROR(CheckCacheUse(op.attention(), block_index, walk));
  if (op.has_convolution() || op.has_recurrence()) {
    RETURN_IF_ERROR(CheckStateUse(op, block_index, walk));
  }
  if (op.has_meet()) RETURN_IF_ERROR(CheckMeetingOrder(op.meet(), walk));
  walk.sampled = op.has_sample();
  return {};
}

Status CheckValues(const v1::Block& block) {
  for (int i = 0; i < block.values_size(); ++i) {
    const v1::Value& value = block.values(i);
    Status status = CheckName(value.name());
    if (status.ok()) status = CheckWidthAndRows(value.width(), value.rows());
    if (!status.ok()) {
      return status.WithContext(Printable(value.name(), "value", static_cast<std::size_t>(i)));
    }
  }
  return {};
}

// All of a block but its ports and operations.
Status CheckBlockHead(const v1::Block& block, Walk& walk) {
  RETURN_IF_ERROR(CheckName(block.name()));
  const auto operations = static_cast<std::size_t>(block.operations_size());
  const auto values = static_cast<std::size_t>(block.values_size());
  if (operations == 0) return Invalid("has no operations");
  RETURN_IF_ERROR(CheckCount("operations", operations, kMaxOperations));
  RETURN_IF_ERROR(CheckCount("values", values, kMaxValues));
  RETURN_IF_ERROR(
      CheckCount("inputs", static_cast<std::size_t>(block.inputs_size()), kMaxOperands));
  RETURN_IF_ERROR(
      CheckCount("outputs", static_cast<std::size_t>(block.outputs_size()), kMaxOperands));
  walk.operations += operations;
  walk.values += values;
  if (walk.operations > kMaxTotal || walk.values > kMaxTotal) {
    return Invalid("brings the program above ", kMaxTotal, " operations or values");
  }
  return CheckValues(block);
}

Status CheckBlock(const v1::Program& program, int index, Walk& walk) {
  const v1::Block& block = program.blocks(index);
  const std::string path = Printable(block.name(), "block", static_cast<std::size_t>(index));
  RETURN_IF_ERROR(CheckBlockHead(block, walk).WithContext(path));
  std::vector<bool> written(static_cast<std::size_t>(block.values_size()));
  RETURN_IF_ERROR(CheckInputPorts(program, block, walk, written).WithContext(path));
  for (int i = 0; i < block.operations_size(); ++i) {
    const v1::Operation& op = block.operations(i);
    Status status = CheckOperation(program, index, op, walk, written);
    if (status.ok()) continue;
    std::string place = path + "/";
    place += Printable(op.name(), "operation", static_cast<std::size_t>(i));
    return status.WithContext(place);
  }
  RETURN_IF_ERROR(CheckReadersOfMeetings(block).WithContext(path));
  return CheckOutputPorts(program, block, walk, written).WithContext(path);
}

// What can only be said when every block has been seen.
Status CheckEnds(const v1::Program& program, const Walk& walk) {
  for (std::size_t i = 0; i < walk.stream_written.size(); ++i) {
    const v1::Stream& stream = program.streams(static_cast<int>(i));
    const std::string path = Printable(stream.name(), "stream", i);
    if (!walk.stream_written[i]) return Invalid(path, ": no block writes it and it does not enter");
    if (!walk.stream_read[i] && !stream.leaves()) {
      return Invalid(path, ": no block reads it and it does not leave");
    }
  }
  for (std::size_t i = 0; i < walk.cache_filled.size(); ++i) {
    if (walk.cache_filled[i]) continue;
    return Invalid(Printable(program.caches(static_cast<int>(i)).name(), "cache", i),
                   ": no operation appends to it");
  }
  return {};
}

}  // namespace

Status CheckProgram(const v1::Program& program) {
  RETURN_IF_ERROR(CheckHeader(program).WithContext("program"));
  RETURN_IF_ERROR(CheckWeights(program));
  RETURN_IF_ERROR(CheckCaches(program));
  Walk walk;
  walk.cache_block.assign(static_cast<std::size_t>(program.caches_size()), -1);
  walk.cache_filled.assign(static_cast<std::size_t>(program.caches_size()), false);
  RETURN_IF_ERROR(CheckStreams(program, walk));
  for (int i = 0; i < program.blocks_size(); ++i) {
    RETURN_IF_ERROR(CheckBlock(program, i, walk));
  }
  return CheckEnds(program, walk);
}

Status CheckLimits(const v1::Limits& limits) {
  const struct {
    const char* name;
    std::uint32_t value;
    std::uint32_t most;
  } rows[] = {
      {"max_rows", limits.max_rows(), kMaxStepRows},
      {"max_outputs", limits.max_outputs(), kMaxStepRows},
      {"max_sequences", limits.max_sequences(), kMaxSequences},
      {"pages", limits.pages(), kMaxPages},
      {"page_positions", limits.page_positions(), kMaxPagePositions},
  };
  for (const auto& row : rows) {
    if (row.value >= 1 && row.value <= row.most) continue;
    return Invalid("limits: ", row.name, " is ", row.value, ", must be 1 to ", row.most);
  }
  return {};
}

}  // namespace bramble::program
