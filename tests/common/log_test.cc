#include "common/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <thread>
#include <vector>

#include "common/files.h"

namespace bramble {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// The log goes to a file, and back to its first state afterwards.
class LogTest : public ::testing::Test {
 protected:
  void Start(LogFormat format, LogLevel level = LogLevel::kInfo) {
    file_ = File(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600));
    StartLog(
        {.level = level, .format = format, .logger = "test", .descriptor = file_.descriptor()});
  }
  void TearDown() override {
    SetLogNode("");
    StartLog({});
  }
  std::string Written() const { return *ReadSmallFile(path_, 1 << 24); }

  TemporaryFolder folder_ = *TemporaryFolder::Make();
  std::string path_ = JoinPath(folder_.path(), "log");
  File file_;
};

TEST_F(LogTest, WritesALineForPeople) {
  Start(LogFormat::kText);
  LogInfo("worker joined",
          {{"node_id", "pi-3"}, {"bytes", 5U}, {"delta", -2}, {"ratio", 0.5}, {"ok", true}});
  EXPECT_THAT(Written(), MatchesRegex("[0-9-]+T[0-9:]+\\.[0-9]+Z INFO worker joined node_id=pi-3 "
                                      "bytes=5 delta=-2 ratio=0.5 ok=true\n"));
}

TEST_F(LogTest, WritesALineForPrograms) {
  Start(LogFormat::kJson);
  SetLogNode("pi-1");
  LogWarn("slow step",
          {{"request_id", "r-7"}, {"seconds", 1.5}, {"nothing", std::nan("")}, {"late", false}});
  EXPECT_THAT(Written(), MatchesRegex("\\{\"timestamp\":\"[^\"]+\",\"level\":\"WARN\",\"msg\":"
                                      "\"slow step\",\"logger\":\"test\","
                                      "\"node_id\":\"pi-1\",\"request_id\":\"r-7\",\"seconds\":1.5,"
                                      "\"nothing\":null,\"late\":false\\}\n"));
}

TEST_F(LogTest, WritesALineOfPairs) {
  Start(LogFormat::kLogfmt);
  LogError("a b", {{"empty", ""}, {"path", "/x y"}, {"quote", "say \"a=b\""}});
  EXPECT_THAT(Written(), HasSubstr("level=ERROR msg=\"a b\" logger=test empty=\"\" path=\"/x y\" "
                                   "quote=\"say \\\"a=b\\\"\"\n"));
}

TEST_F(LogTest, AForeignTextCannotMakeALineOrMoveTheTerminal) {
  const std::string hostile = std::string("x\n{\"level\":\"INFO\"}\r\x1b[2J\x7f\xc2\x9b\xff") +
                              '\0' +
                              "y\xe2\x80\xae"
                              "end";
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson, LogFormat::kLogfmt}) {
    Start(format);
    LogInfo("heard", {{"name", hostile}});
    const std::string line = Written();
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
    EXPECT_EQ(line.back(), '\n');
    for (const char c : line.substr(0, line.size() - 1))
      EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
  }
  Start(LogFormat::kJson);
  LogInfo("heard", {{"name", hostile}});
  EXPECT_THAT(Written(), HasSubstr("\"x\\n{\\\"level\\\":\\\"INFO\\\"}\\r\\u001b["
                                   "2J\\u007f\\u009b\\ufffd\\u0000y\\u202eend\""));
}

TEST_F(LogTest, CutsALongForeignText) {
  Start(LogFormat::kText);
  LogInfo("heard", {{"name", std::string(1 << 20, 'a')}});
  EXPECT_LT(Written().size(), 2200U);
  EXPECT_THAT(Written(), HasSubstr("aaa...\n"));
}

TEST_F(LogTest, LeavesOutWhatIsLessImportantThanTheLevel) {
  Start(LogFormat::kText, LogLevel::kWarn);
  LogInfo("quiet");
  LogWarn("loud");
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_TRUE(LogEnabled(LogLevel::kError));
  EXPECT_THAT(Written(), Not(HasSubstr("quiet")));
  EXPECT_THAT(Written(), HasSubstr("WARN loud"));
}

TEST_F(LogTest, AFailureSaysItsCodeAndReason) {
  Start(LogFormat::kText);
  LogFailure("cannot load", DataLoss("bad byte"), {{"request_id", "r"}});
  EXPECT_THAT(
      Written(),
      HasSubstr("ERROR cannot load request_id=r error_type=DATA_LOSS error=\"bad byte\"\n"));
}

TEST_F(LogTest, GrpcsOwnMessagesComeThroughIt) {
  Start(LogFormat::kJson);
  grpc_init();  // until then gRPC prints nothing
  gpr_log("file.cc", 1, GPR_LOG_SEVERITY_ERROR, "handshake with %s failed", "\x1b[2J");
  EXPECT_THAT(Written(), HasSubstr("\"level\":\"WARN\",\"msg\":\"grpc\""));
  EXPECT_THAT(Written(), HasSubstr("\"detail\":\"handshake with \\u001b[2J failed\""));
  grpc_shutdown();
}

TEST_F(LogTest, TellsTheJournalHowBadItIs) {
  Start(LogFormat::kText);
  struct stat facts {};
  ASSERT_EQ(::stat(path_.c_str(), &facts), 0);
  const std::string stream = std::to_string(facts.st_dev) + ":" + std::to_string(facts.st_ino);
  ::setenv("JOURNAL_STREAM", stream.c_str(), 1);
  StartLog({.logger = "test", .descriptor = file_.descriptor()});
  LogError("bad");
  ::setenv("JOURNAL_STREAM", "1:1", 1);  // inherited from a service whose output went elsewhere
  StartLog({.logger = "test", .descriptor = file_.descriptor()});
  LogError("bad");
  ::unsetenv("JOURNAL_STREAM");
  EXPECT_THAT(Written(), MatchesRegex("<3>[0-9].* ERROR bad\n[0-9].* ERROR bad\n"));
}

TEST_F(LogTest, LinesOfManyThreadsDoNotMix) {
  Start(LogFormat::kText);
  {
    std::vector<std::jthread> threads;
    threads.reserve(4);
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 200; ++i)
          LogInfo("line", {{"thread", t}, {"text", std::string(300, 'x')}});
      });
    }
  }
  const std::string all = Written();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 800);
  std::size_t begin = 0;
  for (std::size_t end = all.find('\n'); end != std::string::npos;
       begin = end + 1, end = all.find('\n', begin)) {
    EXPECT_THAT(all.substr(begin, end - begin), MatchesRegex(".*Z INFO line thread=[0-3] text=x+"));
  }
}

TEST(LogNames, AreParsedOrListed) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_THAT(ParseLogLevel("loud").status().message(),
              HasSubstr("trace, debug, info, warn, error"));
  EXPECT_EQ(*ParseLogFormat("logfmt"), LogFormat::kLogfmt);
  EXPECT_THAT(ParseLogFormat("xml").status().message(), HasSubstr("text, json, logfmt"));
}

}  // namespace
}  // namespace bramble
