#include "worker/service/service.h"

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <string>
#include <utility>

#include "common/channel.h"
#include "common/identity/credentials.h"
#include "common/log.h"
#include "worker/link/epoch_header.h"
#include "worker/link/forward_receiver.h"
#include "worker/link/forward_sender.h"
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

// Connects the stream with its stage. A stage that can't be connected refuses the stream, and
// stays.
Status Connect(const std::shared_ptr<RunStream>& stream, const std::shared_ptr<Stage>& stage) {
  RETURN_IF_ERROR(stage->Claim());
  if (stage->options().first) RETURN_IF_ERROR(stage->SetInlet(stream));
  if (stage->options().last) RETURN_IF_ERROR(stage->SetOutlet(stream));
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
  if (options.last) {
    stream->Open();
    return stream.get();
  }
  const auto channel =
      OpenChannel(options.next.address(), credentials_, {.expected_node = options.next.node_id()});
  const auto sender = ForwardSender::Start(stage, channel, [stream] { stream->Open(); });
  Status status = stage->SetOutlet(sender);
  if (status.ok()) status = stage->Attach(sender);
  if (!status.ok()) sender->Close(status);  // the stage has ended, or ends with it
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
