#include "common/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "common/signals.h"

namespace bramble {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

std::chrono::steady_clock::time_point In(milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

std::unique_ptr<Process> Shell(const std::string& script, ProcessOptions options = {}) {
  options.arguments = {"/bin/sh", "-c", script};
  auto process = Process::Start(options);
  CHECK(process.ok());
  return *std::move(process);
}

TEST(Process, SaysWhenItIsReadyAndWhere) {
  const auto process =
      Shell("echo starting; echo 'ready node=pi-3 grpc=127.0.0.1:70 odd'; exec sleep 600");
  const auto ready = process->WaitReady(In(seconds(10)));
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_THAT(*ready, UnorderedElementsAre(Pair("node", "pi-3"), Pair("grpc", "127.0.0.1:70")));
  EXPECT_TRUE(process->Running());
  EXPECT_EQ(process->Stop().ToString(), "signal 15 (Terminated)");
  EXPECT_FALSE(process->Running());
}

TEST(Process, ThatEndsBeforeItIsReadyIsNotWaitedFor) {
  const auto ready = Shell("echo no; exit 3")->WaitReady(In(seconds(10)));
  EXPECT_EQ(ready.status().code(), Code::kUnavailable);
  EXPECT_THAT(ready.status().message(), HasSubstr("exit code 3"));
}

TEST(Process, ThatSaysNothingIsNotWaitedForBeyondTheDeadline) {
  const auto process = Shell("exec sleep 600");
  EXPECT_EQ(process->WaitReady(In(milliseconds(50))).status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(process->Wait(In(milliseconds(1))).status().code(), Code::kDeadlineExceeded);
}

TEST(Process, ThatWritesAnEndlessLineIsAnError) {
  const auto line = Shell("exec cat /dev/zero")->ReadLine(In(seconds(10)));
  EXPECT_EQ(line.status().code(), Code::kResourceExhausted);
}

TEST(Process, GivesItsLinesOneByOne) {
  const auto process = Shell("printf 'a\\n\\nb\\nrest'");
  EXPECT_EQ(*process->ReadLine(In(seconds(10))), "a");
  EXPECT_EQ(*process->ReadLine(In(seconds(10))), "");
  EXPECT_EQ(*process->ReadLine(In(seconds(10))), "b");
  EXPECT_EQ(process->ReadLine(In(seconds(10))).status().code(), Code::kUnavailable);
}

TEST(Process, HasItsEnvironmentItsLogAndNoInput) {
  const TemporaryFolder folder = *TemporaryFolder::Make();
  ProcessOptions options;
  options.environment = {{"BRAMBLE_TEST", "a b"}, {"HOME", "/home/x"}};
  options.log_path = JoinPath(folder.path(), "log");
  const auto process =
      Shell("echo \"$BRAMBLE_TEST|$HOME|${PATH:+path}|$(cat)\"; echo complaint >&2", options);
  EXPECT_EQ(*process->ReadLine(In(seconds(10))), "a b|/home/x|path|");
  EXPECT_EQ(process->Wait(In(seconds(10)))->exit_code, 0);
  EXPECT_EQ(*ReadSmallFile(options.log_path, 100), "complaint\n");
}

TEST(Process, ThatCannotStartIsAnErrorThatNamesIt) {
  ProcessOptions options;
  options.arguments = {"/nowhere/bramble-worker"};
  const auto process = Process::Start(options);
  EXPECT_EQ(process.status().code(), Code::kNotFound);
  EXPECT_THAT(process.status().message(), HasSubstr("/nowhere/bramble-worker"));
}

TEST(Process, ThatIgnoresTheSignalIsKilledAfterTheGrace) {
  const auto process = Shell("trap '' TERM; echo ready; exec sleep 600");
  ASSERT_TRUE(process->WaitReady(In(seconds(10))).ok());
  EXPECT_EQ(process->Stop(milliseconds(50)).exit_code, 128 + SIGKILL);
}

TEST(Process, CanBeStoppedEvenIfWeBlockTheSignal) {
  sigset_t term;
  sigset_t before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &term, &before), 0);
  const auto process = Shell("exec sleep 600");
  EXPECT_EQ(process->Stop().exit_code, 128 + SIGTERM);
  ASSERT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

TEST(Process, DiesWithItsOwner) {
  pid_t pid = 0;
  {
    const auto process = Shell("exec sleep 600");
    pid = process->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(StopSignals, AreWaitedForInTurn) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  BlockStopSignals();
  EXPECT_EQ(WaitForStopSignal(milliseconds(1)), std::nullopt);
  ASSERT_EQ(::raise(SIGINT), 0);
  EXPECT_EQ(WaitForStopSignal(milliseconds(1000)), SIGINT);
  ASSERT_EQ(::raise(SIGTERM), 0);
  EXPECT_EQ(WaitForStopSignal(), SIGTERM);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
}  // namespace bramble
