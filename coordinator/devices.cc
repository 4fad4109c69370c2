#include "coordinator/devices.h"

#include <google/protobuf/descriptor.h>

#include <set>
#include <string>

#include "proto/program/traits.h"

namespace bramble::coordinator {
namespace {

// Half of a heartbeat's round trip is a hop; before the first heartbeat has come back it is taken
// for this.
constexpr double kUnknownHopSeconds = 200e-6;

std::set<std::string> KindsOf(const v1::Program& program) {
  std::set<std::string> kinds;
  const google::protobuf::OneofDescriptor* kind =
      v1::Operation::descriptor()->FindOneofByName("kind");
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& operation : block.operations()) {
      const google::protobuf::FieldDescriptor* field =
          operation.GetReflection()->GetOneofFieldDescriptor(operation, kind);
      if (field != nullptr) kinds.insert(field->name());
    }
  }
  return kinds;
}

// Kinds of `needed` that the member does not name. One that names none says nothing about it.
std::string Lacks(const v1::NodeFacts& facts, const std::set<std::string>& needed) {
  if (facts.operations().empty()) return "";
  const std::set<std::string> has(facts.operations().begin(), facts.operations().end());
  std::string lacks;
  for (const std::string& kind : needed) {
    if (has.count(kind) == 0) lacks += (lacks.empty() ? "" : ", ") + kind;
  }
  return lacks;
}

Device ToDevice(const Member& member) {
  Device device;
  device.node_id = member.node_id;
  device.memory_limit_bytes = member.facts.memory_limit_bytes();
  const v1::MeasuredSpeed& speed = member.facts.speed();
  device.read_bytes_per_second = speed.read_bytes_per_second();
  for (const v1::EncodingSpeed& encoding : speed.encodings()) {
    if (!v1::Encoding_IsValid(static_cast<int>(encoding.encoding()))) continue;
    device.speeds[static_cast<v1::Encoding>(encoding.encoding())] = {
        encoding.decode_bytes_per_second(), encoding.prefill_operations_per_second()};
  }
  device.hop_seconds =
      member.round_trip_seconds > 0 ? member.round_trip_seconds / 2 : kUnknownHopSeconds;
  return device;
}

// Whether the keys of some prompts are turned by other angles than those of shorter ones that begin
// alike.
bool AnglesFollowTheLength(const v1::Program& program) {
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& operation : block.operations()) {
      const std::uint32_t from = operation.rope().long_from();
      if (from != 0 && from < program.context_length()) return true;
    }
  }
  return false;
}

}  // namespace

std::vector<Device> UsableDevices(const std::vector<Member>& members, const v1::Program& program) {
  const std::set<std::string> needed = KindsOf(program);
  std::vector<Device> devices;
  for (const Member& member : members) {
    if (member.present && Lacks(member.facts, needed).empty()) devices.push_back(ToDevice(member));
  }
  return devices;
}

std::vector<std::string> UnusableMembers(const std::vector<Member>& members,
                                         const v1::Program& program) {
  const std::set<std::string> needed = KindsOf(program);
  std::vector<std::string> lines;
  for (const Member& member : members) {
    if (!member.present) continue;
    const std::string lacks = Lacks(member.facts, needed);
    if (!lacks.empty()) {
      lines.push_back("worker '" + member.node_id + "' (version " + member.facts.version() +
                      ") can't run: " + lacks);
    }
  }
  return lines;
}

bool SharesPrefixes(const v1::Program& program) {
  if (AnglesFollowTheLength(program)) return false;
  for (const v1::Cache& cache : program.caches()) {
    if (!cache.has_key_value() || cache.key_value().cross()) return false;
  }
  return true;
}

ServePlan DescribeProgram(const v1::Program& program) {
  const program::Traits traits = program::TraitsOf(program);
  ServePlan serve;
  serve.vocabulary_size = program.vocabulary_size();
  serve.share_prefixes = SharesPrefixes(program) && !traits.whole_sequences;
  serve.draws = traits.draws;
  serve.whole_sequences = traits.whole_sequences;
  if (program.has_start_id()) serve.start_id = program.start_id();
  for (const v1::Stream& stream : program.streams()) {
    if (stream.leaves()) serve.results.push_back({stream.result(), stream.rows(), stream.width()});
  }
  return serve;
}

}  // namespace bramble::coordinator
