#include "common/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace bramble {
namespace {

using ::testing::HasSubstr;

class Files : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return JoinPath(folder_.path(), name); }
  std::size_t Count() const {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      ++count;
    return count;
  }

  TemporaryFolder folder_ = *TemporaryFolder::Make();
};

mode_t ModeOf(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(::stat(path.c_str(), &facts), 0);
  return facts.st_mode & 0777U;
}

TEST_F(Files, AreReplacedWhole) {
  const std::string content("a\0b\n", 4);
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "old").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("f"), content, 0600).ok());
  EXPECT_EQ(*ReadSmallFile(Path("f"), 4), content);
  EXPECT_EQ(ModeOf(Path("f")), 0600U);
  EXPECT_EQ(Count(), 1U);  // no temporary file is left
}

TEST_F(Files, GetTheirModeWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "x", 0644).ok());
  ::umask(before);
  EXPECT_EQ(ModeOf(Path("f")), 0644U);
}

TEST_F(Files, ReaderSeesTheOldOrTheNewContent) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), std::string(1000, '0')).ok());
  std::jthread writer([&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(
          WriteFileAtomically(Path("f"), std::string(1000, static_cast<char>('0' + i % 10))).ok());
    }
  });
  for (int i = 0; i < 500; ++i) {
    const auto content = ReadSmallFile(Path("f"), 1000);
    ASSERT_TRUE(content.ok());
    EXPECT_EQ(*content, std::string(1000, content->front()));
  }
}

TEST_F(Files, ANewOneIsMadeOnce) {
  ASSERT_TRUE(WriteNewFile(Path("f"), "first", 0600).ok());
  EXPECT_EQ(WriteNewFile(Path("f"), "second").code(), Code::kAlreadyExists);
  EXPECT_EQ(*ReadSmallFile(Path("f"), 100), "first");
  EXPECT_EQ(Count(), 1U);
}

TEST_F(Files, LongerThanTheLimitAreRefused) {
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "12345").ok());
  EXPECT_TRUE(ReadSmallFile(Path("f"), 5).ok());
  EXPECT_EQ(ReadSmallFile(Path("f"), 4).status().code(), Code::kResourceExhausted);
  // One that says it has no bytes, and has some.
  EXPECT_TRUE(ReadSmallFile("/proc/self/status", 65536).ok());
  EXPECT_EQ(ReadSmallFile("/proc/self/status", 10).status().code(), Code::kResourceExhausted);
}

TEST_F(Files, ThatAreNoneAreRefusedAtOnce) {
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  struct Case {
    std::string path;
    Code code;
    const char* why;
  };
  const Case cases[] = {{Path("pipe"), Code::kInvalidArgument, "not a regular file"},
                        {"/dev/zero", Code::kInvalidArgument, "not a regular file"},
                        {folder_.path(), Code::kInvalidArgument, "is a folder"},
                        {Path("none"), Code::kNotFound, "No such file"},
                        {Path("none/deep"), Code::kNotFound, "No such file"},
                        {std::string("a\0b", 3), Code::kInvalidArgument, "zero byte"},
                        {"\x1b[2J", Code::kNotFound, "\\x1b[2J"}};
  for (const Case& c : cases) {
    const auto opened = OpenRegularFile(c.path);
    EXPECT_EQ(opened.status().code(), c.code) << c.path;
    EXPECT_THAT(opened.status().message(), HasSubstr(c.why));
  }
}

TEST_F(Files, CannotBeWrittenWhereThereIsNoFolder) {
  EXPECT_EQ(WriteFileAtomically(Path("none/f"), "x").code(), Code::kNotFound);
}

TEST_F(Files, FoldersAreMadeWithThoseAbove) {
  ASSERT_TRUE(MakeFolders(Path("a/b/c"), 0700).ok());
  EXPECT_TRUE(MakeFolders(Path("a/b/c"), 0700).ok());
  EXPECT_EQ(ModeOf(Path("a/b/c")), 0700U);
  ASSERT_TRUE(WriteFileAtomically(Path("f"), "x").ok());
  EXPECT_FALSE(MakeFolders(Path("f")).ok());
  EXPECT_FALSE(MakeFolders(Path("f/a")).ok());
  EXPECT_FALSE(MakeFolders("").ok());
}

TEST(TemporaryFolder, IsRemovedWithAllThatIsInIt) {
  std::string path;
  {
    const TemporaryFolder folder = *TemporaryFolder::Make();
    path = folder.path();
    ASSERT_TRUE(MakeFolders(JoinPath(path, "a/b")).ok());
    ASSERT_TRUE(WriteFileAtomically(JoinPath(path, "a/b/f"), "x").ok());
    EXPECT_EQ(ModeOf(path), 0700U);
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(JoinPath, PutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
}

}  // namespace
}  // namespace bramble
