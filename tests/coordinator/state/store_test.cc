#include "coordinator/state/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <set>
#include <thread>

#include "common/files.h"
#include "common/mutex.h"
#include "coordinator/state/database.h"
#include "coordinator/state/schema.h"

namespace bramble::coordinator {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

const Time kNow = Time(seconds(1'800'000'000));
const std::string kFingerprint(64, 'a');

class StoreTest : public ::testing::Test {
 protected:
  StoreTest() : store_(Open()) {}

  std::unique_ptr<Store> Open() const {
    auto store = Store::Open(folder_.path());
    EXPECT_TRUE(store.ok()) << store.status().message();
    return *std::move(store);
  }
  std::string Path() const { return JoinPath(folder_.path(), "bramble.db"); }
  JoinToken Token(const NewToken& token = {}) {
    return *store_->CreateToken(kFingerprint, token, kNow);
  }

  static MemberRecord Worker(const std::string& node_id) {
    return {node_id, Role::kWorker, kNow, "01AB", kNow + hours(24), false};
  }

  TemporaryFolder folder_ = *TemporaryFolder::Make();
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, IsForItsOwnerOnly) {
  struct stat facts {};
  ASSERT_EQ(::stat(Path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST_F(StoreTest, BelongsToOneCluster) {
  EXPECT_EQ(store_->ClusterId().status().code(), Code::kNotFound);
  EXPECT_TRUE(store_->ClaimCluster("abc").ok());
  EXPECT_TRUE(store_->ClaimCluster("abc").ok());
  const Status other = store_->ClaimCluster("xyz");
  EXPECT_EQ(other.code(), Code::kFailedPrecondition);
  EXPECT_THAT(other.message(), HasSubstr("'abc'"));
  store_ = Open();
  EXPECT_EQ(*store_->ClusterId(), "abc");
}

TEST_F(StoreTest, LetsATokenInAsOftenAsItSays) {
  NewToken wanted;
  wanted.uses = 2;
  wanted.description = "for the drawer";
  const JoinToken token = Token(wanted);
  EXPECT_EQ(token.fingerprint, kFingerprint);
  EXPECT_TRUE(store_->CheckToken(token, kNow).ok());
  EXPECT_TRUE(store_->Admit(token, Worker("pi-1"), kNow).ok());
  EXPECT_EQ(store_->CheckToken(token, kNow)->uses_left, 1);
  EXPECT_TRUE(store_->Admit(token, Worker("pi-2"), kNow).ok());
  const Status third = store_->Admit(token, Worker("pi-3"), kNow);
  EXPECT_EQ(third.code(), Code::kUnauthenticated);
  EXPECT_THAT(third.message(), HasSubstr("used up"));
  EXPECT_EQ(store_->Members()->size(), 2U);
  const auto tokens = store_->Tokens();
  ASSERT_EQ(tokens->size(), 1U);
  EXPECT_EQ((*tokens)[0].description, "for the drawer");
  EXPECT_EQ((*tokens)[0].expires, kNow + hours(24));
}

TEST_F(StoreTest, RefusesATokenThatHasExpired) {
  const JoinToken token = Token();
  EXPECT_TRUE(store_->CheckToken(token, kNow + hours(24) - seconds(1)).ok());
  EXPECT_THAT(store_->CheckToken(token, kNow + hours(24)).status().message(), HasSubstr("expired"));
  EXPECT_EQ(store_->Admit(token, Worker("pi-1"), kNow + hours(24)).code(), Code::kUnauthenticated);
  NewToken endless;
  endless.life = std::nullopt;
  EXPECT_TRUE(store_->CheckToken(Token(endless), kNow + hours(24 * 3650)).ok());
}

TEST_F(StoreTest, SaysTheSameOfAnUnknownTokenAndAWrongSecret) {
  const JoinToken token = Token();
  JoinToken wrong_secret = token;
  wrong_secret.secret[3] = wrong_secret.secret[3] == 'a' ? 'b' : 'a';
  JoinToken unknown = token;
  unknown.id = "zzzzz9";
  const auto first = store_->CheckToken(wrong_secret, kNow);
  const auto second = store_->CheckToken(unknown, kNow);
  EXPECT_EQ(first.status().code(), Code::kUnauthenticated);
  EXPECT_EQ(first.status().message(), second.status().message());
  EXPECT_THAT(first.status().message(), Not(HasSubstr(token.id)));
}

TEST_F(StoreTest, RefusesADeletedToken) {
  const JoinToken token = Token();
  EXPECT_TRUE(store_->DeleteToken(token.id).ok());
  EXPECT_EQ(store_->DeleteToken(token.id).code(), Code::kNotFound);
  EXPECT_EQ(store_->CheckToken(token, kNow).status().code(), Code::kUnauthenticated);
}

TEST_F(StoreTest, KeepsNoSecret) {
  const JoinToken token = Token();
  store_.reset();  // the last connection moves everything from the log into the file
  const std::string bytes = *ReadSmallFile(Path(), 1 << 24);
  EXPECT_THAT(bytes, HasSubstr(token.id));
  EXPECT_THAT(bytes, Not(HasSubstr(token.secret)));
}

TEST_F(StoreTest, RefusesTokensThatMakeNoSense) {
  NewToken token;
  token.uses = 0;
  EXPECT_EQ(store_->CreateToken(kFingerprint, token, kNow).status().code(), Code::kInvalidArgument);
  token.uses = 1;
  token.life = seconds(0);
  EXPECT_EQ(store_->CreateToken(kFingerprint, token, kNow).status().code(), Code::kInvalidArgument);
  token.life = seconds(1);
  token.role = Role::kCoordinator;
  EXPECT_EQ(store_->CreateToken(kFingerprint, token, kNow).status().code(), Code::kInvalidArgument);
}

TEST_F(StoreTest, AdmitsBothOrNeither) {
  NewToken two;
  two.uses = 2;
  const JoinToken token = Token(two);
  ASSERT_TRUE(store_->Admit(token, Worker("pi-1"), kNow).ok());
  EXPECT_EQ(store_->Admit(token, Worker("pi-1"), kNow).code(), Code::kAlreadyExists);
  EXPECT_EQ(store_->CheckToken(token, kNow)->uses_left, 1);  // nothing was used
  MemberRecord client = Worker("pi-2");
  client.role = Role::kClient;
  EXPECT_EQ(store_->Admit(token, client, kNow).code(), Code::kPermissionDenied);
  EXPECT_EQ(store_->CheckToken(token, kNow)->uses_left, 1);
  EXPECT_EQ(store_->Members()->size(), 1U);
}

TEST_F(StoreTest, OneUseIsOneUseForManyAtOnce) {
  const JoinToken token = Token();
  std::atomic<int> admitted = 0;
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        const auto own = Open();  // a connection each, as of another process
        if (own->Admit(token, Worker("pi-" + std::to_string(t)), kNow).ok()) ++admitted;
      });
    }
  }
  EXPECT_EQ(admitted, 1);
  EXPECT_EQ(store_->Members()->size(), 1U);
}

TEST_F(StoreTest, FindsAFreeNodeId) {
  EXPECT_EQ(*store_->FreeNodeId("pi"), "pi");
  ASSERT_TRUE(store_->PutMember(Worker("pi")).ok());
  ASSERT_TRUE(store_->PutMember(Worker("pi-2")).ok());
  EXPECT_EQ(*store_->FreeNodeId("pi"), "pi-3");
  ASSERT_TRUE(store_->RemoveMember("pi").ok());
  EXPECT_EQ(*store_->FreeNodeId("pi"), "pi-3");  // a removed one's id stays its own
  EXPECT_EQ(*store_->FreeNodeId(kCoordinatorNodeId), "coordinator-2");
  const std::string longest(63, 'a');
  ASSERT_TRUE(store_->PutMember(Worker(longest)).ok());
  EXPECT_EQ(*store_->FreeNodeId(longest), std::string(61, 'a') + "-2");
  EXPECT_EQ(store_->FreeNodeId("No Id").status().code(), Code::kInvalidArgument);
}

TEST_F(StoreTest, KnowsItsMembersAfterARestart) {
  ASSERT_TRUE(store_->PutMember(Worker("pi-2")).ok());
  ASSERT_TRUE(store_->PutMember(Worker("pi-1")).ok());
  store_ = Open();
  const auto members = store_->Members();
  ASSERT_EQ(members->size(), 2U);
  EXPECT_EQ((*members)[0].node_id, "pi-1");
  const MemberRecord member = *store_->Member("pi-2");
  EXPECT_EQ(member.role, Role::kWorker);
  EXPECT_EQ(member.joined, kNow);
  EXPECT_EQ(member.certificate_serial, "01AB");
  EXPECT_EQ(member.certificate_expires, kNow + hours(24));
  EXPECT_EQ(store_->Member("pi-3").status().code(), Code::kNotFound);
}

TEST_F(StoreTest, DeniesWhoWasRemovedOrIsAnother) {
  ASSERT_TRUE(store_->PutMember(Worker("pi-1")).ok());
  EXPECT_TRUE(store_->CheckMember({Role::kWorker, "pi-1", "abc"}).ok());
  EXPECT_EQ(store_->CheckMember({Role::kClient, "pi-1", "abc"}).code(), Code::kPermissionDenied);
  EXPECT_EQ(store_->CheckMember({Role::kWorker, "pi-2", "abc"}).code(), Code::kPermissionDenied);
  EXPECT_TRUE(store_->RenewMember("pi-1", "02", kNow + hours(48)).ok());
  EXPECT_EQ(store_->Member("pi-1")->certificate_serial, "02");
  ASSERT_TRUE(store_->RemoveMember("pi-1").ok());
  EXPECT_EQ(store_->CheckMember({Role::kWorker, "pi-1", "abc"}).code(), Code::kPermissionDenied);
  EXPECT_EQ(store_->RenewMember("pi-1", "03", kNow).code(), Code::kPermissionDenied);
  EXPECT_TRUE(store_->Member("pi-1")->removed);
  EXPECT_EQ(store_->RemoveMember("pi-9").code(), Code::kNotFound);
}

TEST_F(StoreTest, NeverGivesAnEpochTwice) {
  std::set<std::uint64_t> seen;
  Mutex mu;
  {
    std::vector<std::jthread> threads;
    threads.reserve(3);
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        const auto own = Open();
        for (int i = 0; i < 20; ++i) {
          const auto epoch = own->NextEpoch();
          ASSERT_TRUE(epoch.ok()) << epoch.status().message();
          const MutexLock lock(mu);
          EXPECT_TRUE(seen.insert(*epoch).second);
        }
      });
    }
  }
  EXPECT_EQ(*seen.begin(), 1U);
  EXPECT_EQ(*seen.rbegin(), 60U);
  store_ = Open();
  EXPECT_EQ(*store_->NextEpoch(), 61U);
}

TEST_F(StoreTest, RemembersTheNewestPlans) {
  EXPECT_FALSE(store_->LatestPlan()->has_value());
  for (std::uint64_t epoch = 1; epoch <= 25; ++epoch) {
    ASSERT_TRUE(
        store_->SavePlan({epoch, "m", "{\"epoch\":" + std::to_string(epoch) + "}", kNow}).ok());
  }
  store_ = Open();
  const auto latest = store_->LatestPlan();
  ASSERT_TRUE(latest.ok() && latest->has_value());
  EXPECT_EQ((*latest)->epoch, 25U);
  EXPECT_EQ((*latest)->json, "{\"epoch\":25}");
  EXPECT_EQ((*latest)->made, kNow);
  const auto connection = Connection::Open(Path());
  auto count = (*connection)->Prepare("SELECT count(*), min(epoch) FROM plans");
  ASSERT_TRUE(*count->Step());
  EXPECT_EQ(count->Integer(0), 20);
  EXPECT_EQ(count->Integer(1), 6);
}

TEST_F(StoreTest, ServesTheDaemonAndTheCommandLineAtOnce) {
  std::jthread command_line([&] {
    const auto own = Open();
    for (int i = 0; i < 30; ++i) {
      EXPECT_TRUE(own->CreateToken(kFingerprint, {}, kNow).ok());
      EXPECT_TRUE(own->Members().ok());
    }
  });
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(store_->PutMember(Worker("pi-" + std::to_string(i))).ok());
    EXPECT_TRUE(store_->Tokens().ok());
  }
  command_line.join();
  EXPECT_EQ(store_->Tokens()->size(), 30U);
  EXPECT_EQ(store_->Members()->size(), 30U);
}

TEST_F(StoreTest, IsUsedByManyThreads) {
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10; ++i) {
          EXPECT_TRUE(
              store_->PutMember(Worker("pi-" + std::to_string(t) + "-" + std::to_string(i))).ok());
          EXPECT_TRUE(store_
                          ->CheckMember({Role::kWorker,
                                         "pi-" + std::to_string(t) + "-" + std::to_string(i), "c"})
                          .ok());
        }
      });
    }
  }
  EXPECT_EQ(store_->Members()->size(), 40U);
}

TEST(StoreFiles, ADamagedDatabaseIsAClearError) {
  const TemporaryFolder folder = *TemporaryFolder::Make();
  const std::string path = JoinPath(folder.path(), "bramble.db");
  {
    auto store = *Store::Open(folder.path());
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(
          store->SavePlan({static_cast<std::uint64_t>(i), "m", std::string(2000, 'p'), kNow}).ok());
    }
  }
  const std::string sound = *ReadSmallFile(path, 1 << 24);
  std::string overwritten = sound;
  std::fill(overwritten.begin() + 4096, overwritten.begin() + 20000, '\x5a');
  for (const std::string& damaged : {std::string("this is not a database, whatever its name says"),
                                     overwritten, sound.substr(0, sound.size() / 2)}) {
    ASSERT_TRUE(WriteFileAtomically(path, damaged).ok());
    const auto store = Store::Open(folder.path());
    EXPECT_EQ(store.status().code(), Code::kDataLoss) << store.status().message();
    EXPECT_THAT(store.status().message(), HasSubstr(path));
    EXPECT_THAT(store.status().message(), HasSubstr("restore a copy"));
  }
}

TEST(StoreFiles, ADatabaseOfANewerVersionIsLeftAlone) {
  const TemporaryFolder folder = *TemporaryFolder::Make();
  const std::string path = JoinPath(folder.path(), "bramble.db");
  {
    const auto connection = *Connection::Open(path);
    ASSERT_TRUE(
        connection
            ->Execute(("PRAGMA user_version = " + std::to_string(SchemaVersion() + 1)).c_str())
            .ok());
  }
  const auto store = Store::Open(folder.path());
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(store.status().message(), HasSubstr("newer Bramble"));
}

TEST(StoreFiles, AnUnfinishedTransactionIsUndone) {
  const TemporaryFolder folder = *TemporaryFolder::Make();
  const auto connection = *Connection::Open(JoinPath(folder.path(), "x.db"));
  ASSERT_TRUE(connection->Execute("CREATE TABLE t (v INTEGER)").ok());
  {
    const auto transaction = Transaction::Begin(*connection);
    ASSERT_TRUE(connection->Execute("INSERT INTO t VALUES (1)").ok());
  }
  auto count = connection->Prepare("SELECT count(*) FROM t");
  ASSERT_TRUE(*count->Step());
  EXPECT_EQ(count->Integer(0), 0);
}

TEST(StoreFiles, AFolderThatCannotBeMadeIsNamed) {
  const auto store = Store::Open("/proc/nowhere");
  EXPECT_FALSE(store.ok());
  EXPECT_THAT(store.status().message(), HasSubstr("/proc/nowhere"));
}

TEST(StoreFiles, IsMadeOnceByManyAtOnce) {
  const TemporaryFolder folder = *TemporaryFolder::Make();
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const auto store = Store::Open(folder.path());
      EXPECT_TRUE(store.ok()) << store.status().message();
    });
  }
}

}  // namespace
}  // namespace bramble::coordinator
