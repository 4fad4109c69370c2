#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "common/status.h"
#include "worker/exec/peers.h"

namespace bramble {

// Members of a group that meet in this process's memory.
class MemoryGroup {
 public:
  explicit MemoryGroup(std::uint32_t members) {
    for (std::uint32_t i = 0; i < members; ++i) {
      members_.push_back(std::make_unique<Member>(this, i, members));
    }
  }
  worker::Peers* member(std::uint32_t index) { return members_[index].get(); }

 private:
  class Member final : public worker::Peers {
   public:
    Member(MemoryGroup* group, std::uint32_t index, std::uint32_t members)
        : group_(group), index_(index), count_(members) {}

    void Begin(std::uint64_t step) override { step_ = step; }
    void Send(std::uint32_t meeting, std::optional<std::uint32_t> receiver,
              std::string bytes) override {
      const std::lock_guard lock(group_->mutex_);
      for (std::uint32_t to = 0; to < count_; ++to) {
        if (to == index_ || (receiver && *receiver != to)) continue;
        group_->brought_[{step_, meeting, index_, to}] = bytes;
      }
      group_->changed_.notify_all();
    }
    Result<std::string> Await(std::uint32_t member, std::uint32_t meeting) override {
      std::unique_lock lock(group_->mutex_);
      const Key key{step_, meeting, member, index_};
      const auto failed = [&] { return group_->failed_.find({step_, member}); };
      group_->changed_.wait(lock, [&] {
        return group_->brought_.count(key) > 0 || failed() != group_->failed_.end();
      });
      const auto found = group_->brought_.find(key);
      if (found == group_->brought_.end()) return failed()->second;
      std::string bytes = std::move(found->second);
      group_->brought_.erase(found);
      return bytes;
    }
    void Fail(const Status& why) override {
      const std::lock_guard lock(group_->mutex_);
      group_->failed_.emplace(std::pair(step_, index_), why);
      group_->changed_.notify_all();
    }

   private:
    MemoryGroup* group_;
    std::uint32_t index_;
    std::uint32_t count_;
    std::uint64_t step_ = 0;
  };
  // Step, meeting, who brings, who receives.
  using Key = std::tuple<std::uint64_t, std::uint32_t, std::uint32_t, std::uint32_t>;

  std::vector<std::unique_ptr<Member>> members_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, std::string> brought_;
  std::map<std::pair<std::uint64_t, std::uint32_t>, Status> failed_;
};

}  // namespace bramble
