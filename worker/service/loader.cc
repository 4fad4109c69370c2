#include "worker/service/loader.h"

#include <cstdio>
#include <utility>

#include "common/identity/identity.h"
#include "common/log.h"
#include "common/net.h"
#include "proto/program/check.h"
#include "proto/program/memory.h"
#include "proto/program/traits.h"
#include "worker/link/group.h"
#include "worker/metrics.h"

namespace bramble::worker {
namespace {

// "412.3 MiB (432340992 bytes)".
std::string Size(std::uint64_t bytes) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.1f MiB (%llu bytes)",
                static_cast<double>(bytes) / (1024 * 1024), static_cast<unsigned long long>(bytes));
  return text;
}

// The stages before and after; of a group only the first member has them.
Status CheckNeighbours(const v1::LoadRequest& request) {
  if (request.member() > 0) {
    if (!request.first() && !request.last() && request.previous().empty() && !request.has_next()) {
      return {};
    }
    return Invalid("first, last, previous and next are the first member's");
  }
  if (request.first() != request.previous().empty()) {
    return Invalid("previous: exactly the first stage has none");
  }
  if (!request.first()) RETURN_IF_ERROR(CheckNodeId(request.previous()).WithContext("previous"));
  if (request.last() == request.has_next()) return Invalid("next: exactly the last stage has none");
  if (request.last()) return {};
  RETURN_IF_ERROR(CheckNodeId(request.next().node_id()).WithContext("next.node_id"));
  return ParseHostPort(request.next().address(), "next.address").status();
}

Status CheckMembers(const v1::LoadRequest& request) {
  if (request.members().empty()) {
    if (program::TraitsOf(request.program()).meets) {
      return Invalid("members: the program is a slice, and there are none");
    }
    return request.member() == 0 ? Status() : Invalid("member: there are no members");
  }
  if (request.member() >= static_cast<std::uint32_t>(request.members_size())) {
    return Invalid("member is ", request.member(), " of ", request.members_size());
  }
  for (const v1::Peer& member : request.members()) {
    RETURN_IF_ERROR(CheckNodeId(member.node_id()).WithContext("members.node_id"));
    RETURN_IF_ERROR(ParseHostPort(member.address(), "members.address").status());
  }
  // Every meeting of a checked program names the same member and as many.
  for (const v1::Block& block : request.program().blocks()) {
    for (const v1::Operation& op : block.operations()) {
      if (!op.has_meet()) continue;
      if (op.meet().member() == request.member() &&
          op.meet().columns_size() == request.members_size()) {
        return {};
      }
      return Invalid("members: the program is of member ", op.meet().member(), " of ",
                     op.meet().columns_size(), ", the request of member ", request.member(), " of ",
                     request.members_size());
    }
  }
  return Invalid("members: the program is no slice");
}

}  // namespace

Status CheckMemory(const v1::Program& program, const v1::Limits& limits, std::uint64_t limit) {
  const program::MemoryNeed need = program::Memory(program, limits);
  if (need.total <= limit && limit - need.total >= kRestBytes) return {};
  const std::uint64_t total = need.total + kRestBytes;
  return Exhausted("this part of the model needs ", Size(total), ": weights ",
                   Size(need.weight_bytes), " + caches ", Size(need.cache_bytes), " + buffers ",
                   Size(need.buffer_bytes), " + the worker itself ", Size(kRestBytes),
                   "; the memory limit is ", Size(limit), ", ", Size(total - limit),
                   " too little: add workers, shorten the context, or raise --memory");
}

Status CheckLoadRequest(const v1::LoadRequest& request) {
  if (request.epoch() == 0) return Invalid("epoch is missing");
  RETURN_IF_ERROR(CheckNeighbours(request));
  RETURN_IF_ERROR(program::CheckLimits(request.limits()));
  RETURN_IF_ERROR(program::CheckProgram(request.program()));
  return CheckMembers(request);
}
Loader::Loader(ShardOptions options, WeightStore* store, WeightFetcher fetcher,
               ComputeThread* compute, StageSlot* slot)
    : options_(std::move(options)),
      store_(store),
      fetcher_(std::move(fetcher)),
      compute_(compute),
      slot_(slot),
      thread_([this] { Loop(); }) {}

Loader::~Loader() {
  Stop();
  thread_.join();
}

void Loader::Stop() {
  {
    const MutexLock lock(mu_);
    stopping_ = true;
    for (Job& job : jobs_) job.stream->cancellation().Cancel();
  }
  changed_.NotifyAll();
}

void Loader::Submit(const v1::LoadRequest* request, std::shared_ptr<LoadStream> stream) {
  {
    const MutexLock lock(mu_);
    if (stopping_) {
      stream->Fail(Unavailable("the worker stops"));
      return;
    }
    for (Job& job : jobs_) job.stream->cancellation().Cancel();
    jobs_.push_back({.request = request, .stream = std::move(stream)});
  }
  changed_.NotifyAll();
}

void Loader::Loop() {
  while (true) {
    Job job;
    {
      const MutexLock lock(mu_);
      while (jobs_.empty() && !stopping_) changed_.Wait(mu_);
      if (jobs_.empty()) return;
      job = jobs_.front();
    }
    const std::uint64_t epoch = job.request->epoch();
    auto response = Load(job);
    if (response.ok()) {
      LogInfo("stage is ready", {{"epoch", epoch}});
      job.stream->Ready(*std::move(response));
    } else {
      LogFailure("load refused", response.status(), {{"epoch", epoch}});
      job.stream->Fail(response.status());
    }
    const MutexLock lock(mu_);
    jobs_.pop_front();
  }
}

Result<v1::LoadResponse> Loader::Load(const Job& job) {
  const v1::LoadRequest& request = *job.request;
  Cancellation& cancellation = job.stream->cancellation();
  if (cancellation.cancelled()) return Status(Code::kCancelled, "the load was cancelled");
  RETURN_IF_ERROR(CheckLoadRequest(request));
  RETURN_IF_ERROR(CheckMemory(request.program(), request.limits(), options_.memory_limit));
  RETURN_IF_ERROR(slot_->Begin(request.epoch()));
  RETURN_IF_ERROR(fetcher_.FetchAll(
      request.program(),
      [&](std::uint64_t done, std::uint64_t total) { job.stream->Progress(done, total); },
      &cancellation));
  if (cancellation.cancelled()) return Status(Code::kCancelled, "the load was cancelled");
  return Build(request);
}

Result<v1::LoadResponse> Loader::Build(const v1::LoadRequest& request) {
  std::shared_ptr<Group> group;
  if (request.members_size() > 0) {
    group = std::make_shared<Group>(
        request.epoch(), std::vector<v1::Peer>(request.members().begin(), request.members().end()),
        request.member());
  }
  Result<Shard> shard = Internal("nothing was built");
  // The old stage's memory was given back by a job posted before this one.
  compute_->Run([&] { shard = BuildShard(request, group, options_, store_); });
  if (!shard.ok()) return shard.status();
  const auto stage = std::make_shared<Stage>(StageOptions{.epoch = request.epoch(),
                                                          .first = request.first(),
                                                          .last = request.last(),
                                                          .previous = request.previous(),
                                                          .next = request.next(),
                                                          .group = group},
                                             compute_, std::move(shard->compute));
  if (options_.metrics != nullptr)
    options_.metrics->Loaded(request.epoch(), shard->memory, request.limits().pages());
  RETURN_IF_ERROR(slot_->Install(stage));
  v1::LoadResponse response;
  response.set_ready(true);
  response.set_bytes_done(shard->weight_bytes);
  response.set_bytes_total(shard->weight_bytes);
  *response.mutable_memory() = shard->memory;
  for (std::string& variant : shard->variants) *response.add_variants() = std::move(variant);
  return response;
}

}  // namespace bramble::worker
