#include "worker/exec/meet_task.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "common/check.h"
#include "kernels/a8.h"
#include "worker/exec/peers.h"

namespace bramble::worker {
namespace {

// Bytes of `columns` numbers in the form that travels.
std::size_t FormBytes(v1::InputForm form, std::size_t columns) {
  return form == v1::INPUT_FORM_A8_32 ? kernels::A8RowBytes(columns) : columns * sizeof(float);
}

class Meeting {
 public:
  Meeting(const Binder& binder, const program::Node& node) {
    const v1::Operation& op = binder.OperationOf(node);
    const v1::Meet& meet = op.meet();
    number_ = meet.number();
    member_ = meet.member();
    if (meet.has_receiver()) receiver_ = meet.receiver();
    for (const std::uint32_t columns : meet.columns()) {
      part_bytes_.push_back(FormBytes(meet.form(), columns));
    }
    if (op.inputs_size() > 0) {
      std::uint32_t own = binder.schedule.of_value[node.block][op.inputs(0)];
      rows_ = binder.schedule.tensors[own].rows;
      if (meet.form() == v1::INPUT_FORM_A8_32) own = binder.schedule.quantized[own];
      own_ = binder.View(own);
    }
    if (op.outputs_size() == 0) return;
    whole_ = binder.Output(node);
    rows_ = binder.OutputRows(node);
  }

  std::size_t Rows(const StepContext& step) const { return RowCount(step, rows_); }

  void Send(const StepContext& step, Peers* peers) const {
    if (own_.data == nullptr) return;
    const std::size_t rows = Rows(step);
    const std::size_t part = part_bytes_[member_];
    if (whole_.data != nullptr) {
      for (std::size_t r = 0; r < rows; ++r) {
        std::memcpy(whole_.bytes(r) + Offset(member_), own_.bytes(r), part);
      }
    }
    if (receiver_ == member_) return;
    std::string bytes;
    bytes.reserve(rows * part);
    for (std::size_t r = 0; r < rows; ++r) {
      bytes.append(reinterpret_cast<const char*>(own_.bytes(r)), part);
    }
    peers->Send(number_, receiver_, std::move(bytes));
  }

  Status Await(const StepContext& step, Peers* peers) const {
    if (whole_.data == nullptr) return {};
    const std::size_t rows = Rows(step);
    for (std::uint32_t member = 0; member < part_bytes_.size(); ++member) {
      const std::size_t part = part_bytes_[member];
      if (member == member_ || part == 0) continue;
      ASSIGN_OR_RETURN(const std::string bytes, peers->Await(member, number_));
      if (bytes.size() != rows * part) {
        return Invalid("member ", member, " brought ", bytes.size(), " bytes to meeting ", number_,
                       ", the step needs ", rows * part);
      }
      for (std::size_t r = 0; r < rows; ++r) {
        std::memcpy(whole_.bytes(r) + Offset(member), bytes.data() + r * part, part);
      }
    }
    return {};
  }

 private:
  std::size_t Offset(std::uint32_t member) const {
    std::size_t offset = 0;
    for (std::uint32_t i = 0; i < member; ++i) offset += part_bytes_[i];
    return offset;
  }

  std::uint32_t number_ = 0;
  std::uint32_t member_ = 0;
  std::optional<std::uint32_t> receiver_;
  std::vector<std::size_t> part_bytes_;  // of a row, of each member
  v1::RowKind rows_ = v1::ROW_KIND_UNSPECIFIED;
  RowsView own_;    // no data: this member brings nothing
  RowsView whole_;  // no data: it does not want the value
};

class MeetTask final : public Task {
 public:
  MeetTask(const Binder& binder, const std::vector<program::Node>& nodes) : peers_(binder.peers) {
    CHECK(peers_ != nullptr);
    for (const program::Node& node : nodes) meetings_.emplace_back(binder, node);
  }

  std::uint64_t Items(const StepContext& step) const override {
    // Whether anybody comes is the same for all members: it follows from the step.
    for (const Meeting& meeting : meetings_) {
      if (meeting.Rows(step) > 0) return 1;
    }
    return 0;
  }
  bool IsSmall(const StepContext&) const override { return true; }

  void Run(const StepContext& step, std::uint64_t, std::uint64_t, int) const override {
    for (const Meeting& meeting : meetings_) {
      if (meeting.Rows(step) > 0) meeting.Send(step, peers_);
    }
    for (const Meeting& meeting : meetings_) {
      if (meeting.Rows(step) == 0) continue;
      const Status met = meeting.Await(step, peers_);
      if (met.ok()) continue;
      *step.interruption = met;
      return;
    }
  }

 private:
  Peers* peers_;
  std::vector<Meeting> meetings_;
};

}  // namespace

std::unique_ptr<Task> BindMeetings(const Binder& binder, const std::vector<program::Node>& nodes) {
  return std::make_unique<MeetTask>(binder, nodes);
}

}  // namespace bramble::worker
