#include "worker/service/service.h"

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <optional>
#include <string>
#include <utility>

#include "common/channel.h"
#include "common/identity/credentials.h"
#include "common/log.h"
#include "worker/link/epoch_header.h"
#include "worker/link/forward_receiver.h"
#include "worker/link/forward_sender.h"
#include "worker/link/group.h"
#include "worker/link/meet_receiver.h"
#include "worker/link/meet_sender.h"
#include "worker/link/run_stream.h"

namespace bramble::worker {
namespace {

// The stage that a Run or Forward call means, if this caller may mean it.
Result<std::shared_ptr<Stage>> StageOf(const grpc::CallbackServerContext& context, Role role,
                                       const StageSlot& slot) {
  ASSIGN_OR_RETURN(const PeerIdentity who, RequirePeer(*context.auth_context(), {role}));
  ASSIGN_OR_RETURN(const std::uint64_t epoch, EpochOf(context.client_metadata()));
  ASSIGN_OR_RETURN(auto stage, slot.Find(epoch));
  if (role == Role::kWorker && who.node_id != stage->options().previous) {
    return Denied(who.node_id, " is not the stage before this one in epoch ", epoch);
  }
  return stage;
}

// The stage that a Meet call means, and which of its members calls.
struct MeetingPlace {
  std::shared_ptr<Stage> stage;
  std::uint32_t member = 0;
};
Result<MeetingPlace> MeetingPlaceOf(const grpc::CallbackServerContext& context,
                                    const StageSlot& slot) {
  ASSIGN_OR_RETURN(const PeerIdentity who, RequirePeer(*context.auth_context(), {Role::kWorker}));
  ASSIGN_OR_RETURN(const std::uint64_t epoch, EpochOf(context.client_metadata()));
  ASSIGN_OR_RETURN(auto stage, slot.Find(epoch));
  const std::shared_ptr<Group>& group = stage->options().group;
  const auto member = group == nullptr ? std::nullopt : group->MemberOf(who.node_id);
  if (!member) return Denied(who.node_id, " is no member of this stage in epoch ", epoch);
  return MeetingPlace{std::move(stage), *member};
}

// Where the steps of a member that does not lead end: the first one gives the results.
class NoOutlet final : public Outlet {
 public:
  explicit NoOutlet(Stage* stage) : stage_(stage) {}
  void Send(Work) override { stage_->Sent(); }
  std::size_t depth() const override { return 1; }

 private:
  Stage* const stage_;  // owns this
};

// Connects the stream with its stage. A stage that can't be connected refuses the stream, and
// stays.
Status Connect(const std::shared_ptr<RunStream>& stream, const std::shared_ptr<Stage>& stage) {
  RETURN_IF_ERROR(stage->Claim());
  if (stage->options().first) RETURN_IF_ERROR(stage->SetInlet(stream));
  if (stage->options().last) RETURN_IF_ERROR(stage->SetOutlet(stream));
  const std::shared_ptr<Group>& group = stage->options().group;
  if (group != nullptr && !group->leads()) {
    RETURN_IF_ERROR(stage->SetOutlet(std::make_shared<NoOutlet>(stage.get())));
  }
  return stage->Attach(stream);
}

}  // namespace

grpc::ServerWriteReactor<v1::LoadResponse>* Service::Load(grpc::CallbackServerContext* context,
                                                          const v1::LoadRequest* request) {
  const auto stream = LoadStream::Make();
  const auto who = RequirePeer(*context->auth_context(), {Role::kCoordinator});
  if (who.ok()) {
    loader_->Submit(request, stream);
  } else {
    stream->Fail(who.status());
  }
  return stream.get();
}

grpc::ServerBidiReactor<v1::RunRequest, v1::RunResponse>* Service::Run(
    grpc::CallbackServerContext* context) {
  const auto found = StageOf(*context, Role::kCoordinator, *slot_);
  if (!found.ok()) return RunStream::Refuse(found.status());
  const std::shared_ptr<Stage>& stage = *found;
  const StageOptions& options = stage->options();
  context->AddInitialMetadata(kEpochHeader, std::to_string(options.epoch));
  const auto stream = RunStream::Make(stage);
  if (const Status status = Connect(stream, stage); !status.ok()) {
    stream->Close(status);
    return stream.get();
  }
  const bool forwards = options.next.node_id() != "";
  const std::size_t others = options.group == nullptr ? 0 : options.group->members().size() - 1;
  if (!forwards && others == 0) {
    stream->Open();
    return stream.get();
  }
  // The coordinator hears of the stage when all its streams are open.
  const std::function<void()> opened =
      [stream, waiting = std::make_shared<std::atomic<std::size_t>>(others + (forwards ? 1 : 0))] {
        if (--*waiting == 0) stream->Open();
      };
  if (others > 0) DialMembers(stage, opened);
  if (forwards) DialNext(stage, opened);
  return stream.get();
}

void Service::DialNext(const std::shared_ptr<Stage>& stage, const std::function<void()>& opened) {
  const v1::Peer& next = stage->options().next;
  const auto channel = OpenChannel(next.address(), credentials_, {.expected_node = next.node_id()});
  const auto sender = ForwardSender::Start(stage, channel, opened);
  Status status = stage->SetOutlet(sender);
  if (status.ok()) status = stage->Attach(sender);
  if (!status.ok()) sender->Close(status);  // the stage has ended, or ends with it
}

void Service::DialMembers(const std::shared_ptr<Stage>& stage,
                          const std::function<void()>& opened) {
  Group& group = *stage->options().group;
  for (std::uint32_t i = 0; i < group.members().size(); ++i) {
    if (i == group.own()) continue;
    const v1::Peer& member = group.members()[i];
    const auto channel =
        OpenChannel(member.address(), credentials_, {.expected_node = member.node_id()});
    const auto sender = MeetSender::Start(stage, member.node_id(), channel, opened);
    Status status = group.Connect(i, sender);
    if (status.ok()) status = stage->Attach(sender);
    if (!status.ok()) sender->Close(status);  // as above
  }
}

grpc::ServerBidiReactor<v1::MeetRequest, v1::MeetResponse>* Service::Meet(
    grpc::CallbackServerContext* context) {
  const auto found = MeetingPlaceOf(*context, *slot_);
  if (!found.ok()) {
    LogFailure("a member's stream is refused", found.status());
    return MeetReceiver::Refuse(found.status());
  }
  const std::shared_ptr<Stage>& stage = found->stage;
  const auto stream = MeetReceiver::Make(stage, found->member);
  Status status = found->member == 0 ? stage->SetInlet(stream) : Status();
  if (status.ok()) status = stage->Attach(stream);
  if (status.ok()) {
    stream->Open();
  } else {
    stream->Close(status);
  }
  return stream.get();
}

grpc::ServerBidiReactor<v1::ForwardRequest, v1::ForwardResponse>* Service::Forward(
    grpc::CallbackServerContext* context) {
  const auto found = StageOf(*context, Role::kWorker, *slot_);
  if (!found.ok()) {
    LogFailure("a neighbour's stream is refused", found.status());
    return ForwardReceiver::Refuse(found.status());
  }
  const std::shared_ptr<Stage>& stage = *found;
  const auto stream = ForwardReceiver::Make(stage);
  Status status = stage->SetInlet(stream);
  if (status.ok()) status = stage->Attach(stream);
  if (status.ok()) {
    stream->Open();
  } else {
    stream->Close(status);
  }
  return stream.get();
}

}  // namespace bramble::worker
