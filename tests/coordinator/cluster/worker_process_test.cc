// The built bramble-worker against a real coordinator: joining, attending, leaving, dying.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/coordinator/cluster/worker_fixture.h"

namespace bramble::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class WorkerProcessTest : public WorkerFixture {
 protected:
  static std::chrono::steady_clock::time_point In(seconds time) {
    return std::chrono::steady_clock::now() + time;
  }
};

TEST_F(WorkerProcessTest, JoinsTellsWhatItCanAndLeavesOnSigterm) {
  WorkerProcess worker = StartWorker("pi", Token(), {"--memory", "512M"});
  EXPECT_EQ(worker.node_id, "pi");
  ASSERT_TRUE(Present("pi"));
  const v1::NodeFacts facts = Find("pi")->facts;
  EXPECT_EQ(facts.address(), worker.address);
  EXPECT_EQ(facts.memory_limit_bytes(), std::uint64_t{512} << 20);
  EXPECT_GE(facts.memory_total_bytes(), std::uint64_t{128} << 20);
  EXPECT_EQ(facts.threads(), 1);
  EXPECT_GT(facts.store_free_bytes(), 0);
  EXPECT_THAT(facts.operations(), ::testing::IsSupersetOf({"linear", "attention", "sample"}));
  EXPECT_THAT(facts.features(), ::testing::Contains("portable"));
  EXPECT_GT(facts.speed().read_bytes_per_second(), 1e8);
  EXPECT_GT(facts.speed().encodings_size(), 10);
  for (const v1::EncodingSpeed& speed : facts.speed().encodings()) {
    EXPECT_GT(speed.decode_bytes_per_second(), 1e6) << speed.encoding();
    EXPECT_GT(speed.prefill_operations_per_second(), 1e6) << speed.encoding();
  }
  EXPECT_TRUE(Within(seconds(2), [&] { return Find("pi")->round_trip_seconds > 0; }));
  const auto end = worker.process->Stop();
  EXPECT_EQ(end.exit_code, 0) << end.ToString();
  EXPECT_FALSE(Present("pi")) << "it took leave before it ended";
}

TEST_F(WorkerProcessTest, NeedsItsTokenOnce) {
  const std::string token = Token();
  StartWorker("pi", token).process->Stop();
  EXPECT_EQ(StartWorker("pi", "").node_id, "pi");
}

struct RefusalCase {
  const char* what;
  std::vector<std::string> more;
  int exit_code;
  const char* says;
};

TEST_F(WorkerProcessTest, SaysWhyItDoesNotStart) {
  const std::string good = cluster_.folder() + "/good.token";
  ASSERT_TRUE(WriteFileAtomically(good, Token(), 0600).ok());
  const std::string other = cluster_.folder() + "/other.token";
  ASSERT_TRUE(
      WriteFileAtomically(other, MakeJoinToken(std::string(64, 'a')).ToString(), 0600).ok());
  const RefusalCase cases[] = {
      {"no token", {}, 1, "--token-file"},
      {"another cluster's token", {"--token-file", other}, 1, "joining"},
      {"an instruction set there is not", {"--isa", "sse9"}, 78, "sse9"},
      {"an address to listen on that is none", {"--listen", "nowhere"}, 78, "listen"},
      {"a wrong flag", {"--tokn", "x"}, 2, "--help"},
      {"an address of another machine",
       {"--token-file", good, "--listen", "192.0.2.1:7070"},
       1,
       "192.0.2.1:7070"},
  };
  int number = 0;
  for (const RefusalCase& c : cases) {
    SCOPED_TRACE(c.what);
    const std::string name = "bad" + std::to_string(number++);
    const auto process = Launch(name, "", c.more);
    const auto end = process->Wait(In(seconds(20)));
    ASSERT_TRUE(end.ok()) << end.status().message();
    EXPECT_EQ(end->exit_code, c.exit_code) << end->ToString();
    EXPECT_THAT(ReadLog(name), HasSubstr(c.says));
  }
}

TEST_F(WorkerProcessTest, AnExpiredIdentityIsRefusedBeforeAnythingIsDialled) {
  IssueOptions past;
  past.now = std::chrono::system_clock::now() - std::chrono::hours(2);
  past.life = std::chrono::hours(1);
  const auto identity = cluster_.Issue(Role::kWorker, "late", past).Load();
  ASSERT_TRUE(identity.ok());
  ASSERT_TRUE(IdentityStore(StateOf("late") + "/identity").Save(*identity).ok());
  const auto process = Launch("late", "");
  const auto end = process->Wait(In(seconds(20)));
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->exit_code, 1);
  EXPECT_THAT(ReadLog("late"), HasSubstr("expired"));
}

TEST_F(WorkerProcessTest, ReturnsWhenTheCoordinatorRestarts) {
  const WorkerProcess worker = StartWorker("pi");
  const HostPort listen = server_->address();
  server_->Shutdown();
  server_.reset();
  StartServer(listen);
  EXPECT_TRUE(Within(seconds(8), [&] { return Find("pi") && Present("pi"); }));
}

TEST_F(WorkerProcessTest, AKilledWorkerIsKnownAtOnceAndAFrozenOneSoon) {
  const WorkerProcess killed = StartWorker("killed");
  const WorkerProcess frozen = StartWorker("frozen");
  auto start = std::chrono::steady_clock::now();
  killed.process->Signal(SIGKILL);
  EXPECT_TRUE(Within(seconds(2), [&] { return !Present("killed"); }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(900)) << "sooner than silence";
  start = std::chrono::steady_clock::now();
  frozen.process->Signal(SIGSTOP);
  EXPECT_TRUE(Within(seconds(2), [&] { return !Present("frozen"); }));
  frozen.process->Signal(SIGCONT);
  EXPECT_TRUE(Within(seconds(5), [&] { return Present("frozen"); }));
}

TEST_F(WorkerProcessTest, TwoWorkersDoNotShareAStateFolder) {
  const WorkerProcess first = StartWorker("pi");
  const auto second = Launch("pi", "");
  const auto end = second->Wait(In(seconds(20)));
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(end->exit_code, 1);
  EXPECT_THAT(ReadLog("pi"), HasSubstr("another worker uses this folder"));
}

TEST_F(WorkerProcessTest, SaysItsVersionAndInstructionSets) {
  ProcessOptions options;
  options.arguments = {WorkerPath(), "--version"};
  const auto process = Process::Start(options);
  ASSERT_TRUE(process.ok());
  EXPECT_THAT(*(*process)->ReadLine(In(seconds(10))), HasSubstr("bramble-worker 0."));
  EXPECT_THAT(*(*process)->ReadLine(In(seconds(10))), HasSubstr("instruction sets: portable"));
  EXPECT_THAT(*(*process)->ReadLine(In(seconds(10))), HasSubstr("chosen: "));
}

}  // namespace
}  // namespace bramble::coordinator
