#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "common/sha256.h"
#include "coordinator/cluster/members.h"
#include "coordinator/cluster/server.h"
#include "coordinator/state/store.h"
#include "tests/identities.h"

namespace bramble::coordinator {

// A cluster's coordinator on a free port of the loopback: real certificates, real database, real
// gRPC.
class ClusterFixture : public testing::Test {
 protected:
  void SetUp() override {
    auto store = Store::Open(cluster_.folder() + "/state");
    if (!store.ok()) {
      ASSERT_TRUE(MakeFolders(cluster_.folder() + "/state").ok());
      store = Store::Open(cluster_.folder() + "/state");
    }
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = *std::move(store);
    StartServer({.host = "127.0.0.1", .port = 0});
  }

  void TearDown() override {
    if (server_ != nullptr) server_->Shutdown();
  }

  void StartServer(const HostPort& listen) {
    members_ = std::make_unique<Members>();
    ClusterOptions options;
    options.listen = listen;
    options.identity_folder = cluster_.folder() + "/coordinator";
    options.authority = &cluster_.authority();
    options.store = store_.get();
    options.members = members_.get();
    options.weights = [this](std::string_view hash) { return WeightBytes(hash); };
    auto server = ClusterServer::Start(std::move(options));
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }

  Result<std::span<const std::byte>> WeightBytes(std::string_view hash) {
    const auto found = weights_.find(std::string(hash));
    ++weights_asked_;
    if (found == weights_.end()) return NotFound("no such weight");
    return std::as_bytes(std::span(found->second));
  }

  // Offers a weight, and returns its hash.
  std::string AddWeight(const std::string& bytes) {
    const Sha256 hash = Sha256Of(bytes);
    std::string name(reinterpret_cast<const char*>(hash.data()), hash.size());
    weights_[name] = bytes;
    return name;
  }

  std::string Token(const NewToken& token = {}) {
    const auto made = store_->CreateToken(cluster_.authority().fingerprint(), token,
                                          std::chrono::system_clock::now());
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made->ToString();
  }

  std::string address() const { return server_->address().ToString(); }

  std::optional<Member> Find(const std::string& node_id) const {
    for (Member& member : members_->Snapshot()) {
      if (member.node_id == node_id) return std::move(member);
    }
    return std::nullopt;
  }

  // True as soon as `condition` holds; false if it does not within the time.
  static bool Within(std::chrono::milliseconds time, const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }

  bool Present(const std::string& node_id) const {
    const auto member = Find(node_id);
    return member && member->present;
  }

  TestAuthority cluster_;
  std::map<std::string, std::string> weights_;  // by raw hash
  std::atomic<int> weights_asked_ = 0;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Members> members_;
  std::unique_ptr<ClusterServer> server_;
};

}  // namespace bramble::coordinator
