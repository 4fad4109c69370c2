#include "worker/store/weight_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "common/files.h"
#include "common/sha256.h"

namespace bramble::worker {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string RandomContent(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

WeightHash HashOf(std::string_view bytes) {
  const Sha256 hash = Sha256Of(bytes);
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::string_view Text(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

class WeightStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TemporaryFolder::Make();
    ASSERT_TRUE(folder.ok()) << folder.status().message();
    folder_ = std::make_unique<TemporaryFolder>(*std::move(folder));
    Reopen();
  }

  void Reopen(std::uint64_t max_bytes = 0) {
    store_.reset();
    auto store = WeightStore::Open(folder_->path() + "/weights", max_bytes);
    ASSERT_TRUE(store.ok()) << store.status().message();
    store_ = *std::move(store);
  }

  std::string PathOf(const std::string& content) const {
    const std::string hex = Hex(Sha256Of(content));
    return folder_->path() + "/weights/" + hex.substr(0, 2) + "/" + hex;
  }

  void Put(const std::string& content) {
    auto download = store_->Fetch(HashOf(content), content.size());
    ASSERT_TRUE(download.ok()) << download.status().message();
    ASSERT_TRUE(download->Append(std::string_view(content).substr(download->offset())).ok());
    const Status status = download->Finish();
    ASSERT_TRUE(status.ok()) << status.message();
  }

  void ExpectHolds(const std::string& content) {
    auto mapped = store_->Map(HashOf(content), content.size());
    ASSERT_TRUE(mapped.ok()) << mapped.status().message();
    EXPECT_TRUE(Text(*mapped) == content);
  }

  std::unique_ptr<TemporaryFolder> folder_;
  std::unique_ptr<WeightStore> store_;
};

TEST_F(WeightStoreTest, GivesBackWhatWasFetchedAlsoAfterARestart) {
  const std::string content = RandomContent(3'000'001, 1);
  EXPECT_FALSE(store_->Has(HashOf(content), content.size()));
  EXPECT_EQ(store_->Map(HashOf(content), content.size()).status().code(), Code::kNotFound);
  Put(content);
  EXPECT_TRUE(store_->Has(HashOf(content), content.size()));
  ExpectHolds(content);
  Reopen();
  EXPECT_TRUE(store_->Has(HashOf(content), content.size()));
  ExpectHolds(content);
  EXPECT_EQ(store_->Usage().bytes, content.size());
}

TEST_F(WeightStoreTest, ResumesADownloadWhereItWasCut) {
  const std::string content = RandomContent(100'000, 2);
  {
    auto download = store_->Fetch(HashOf(content), content.size());
    ASSERT_TRUE(download.ok());
    ASSERT_TRUE(download->Append(std::string_view(content).substr(0, 70'000)).ok());
    EXPECT_EQ(download->Finish().code(), Code::kFailedPrecondition);
  }
  Reopen();
  EXPECT_FALSE(store_->Has(HashOf(content), content.size()));
  auto download = store_->Fetch(HashOf(content), content.size());
  ASSERT_TRUE(download.ok());
  EXPECT_EQ(download->offset(), 70'000);
  ASSERT_TRUE(download->Append(std::string_view(content).substr(70'000)).ok());
  ASSERT_TRUE(download->Finish().ok());
  ExpectHolds(content);
}

TEST_F(WeightStoreTest, RefusesACorruptPartAndStartsItAnew) {
  const std::string content = RandomContent(5'000, 3);
  fs::create_directories(fs::path(PathOf(content)).parent_path());
  std::ofstream(PathOf(content) + ".part") << "these bytes belong to another weight";
  {
    auto download = store_->Fetch(HashOf(content), content.size());
    ASSERT_TRUE(download.ok());
    ASSERT_GT(download->offset(), 0);
    ASSERT_TRUE(download->Append(std::string_view(content).substr(download->offset())).ok());
    EXPECT_EQ(download->Finish().code(), Code::kDataLoss);
  }
  EXPECT_FALSE(store_->Has(HashOf(content), content.size()));
  auto again = store_->Fetch(HashOf(content), content.size());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->offset(), 0);
}

TEST_F(WeightStoreTest, DropsAPartThatIsLongerThanItsWeight) {
  const std::string content = RandomContent(10, 4);
  fs::create_directories(fs::path(PathOf(content)).parent_path());
  std::ofstream(PathOf(content) + ".part") << RandomContent(11, 4);
  Put(content);
  ExpectHolds(content);
}

TEST_F(WeightStoreTest, RefusesMoreBytesThanTheWeightHas) {
  const std::string content = RandomContent(10, 5);
  auto download = store_->Fetch(HashOf(content), content.size());
  ASSERT_TRUE(download.ok());
  EXPECT_EQ(download->Append(content + "x").code(), Code::kInvalidArgument);
  ASSERT_TRUE(download->Append(content).ok());
  EXPECT_EQ(download->Append("x").code(), Code::kInvalidArgument);
}

TEST_F(WeightStoreTest, FindsAFlippedBitAtTheFirstUseAfterAStart) {
  const std::string content = RandomContent(2'000'000, 6);
  Put(content);
  {
    std::fstream file(PathOf(content), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(1'234'567);
    file.put(static_cast<char>(content[1'234'567] ^ 4));
  }
  Reopen();
  auto mapped = store_->Map(HashOf(content), content.size());
  ASSERT_FALSE(mapped.ok());
  EXPECT_EQ(mapped.status().code(), Code::kDataLoss);
  EXPECT_THAT(mapped.status().message(), HasSubstr(Hex(Sha256Of(content))));
  EXPECT_FALSE(store_->Has(HashOf(content), content.size())) << "the corrupt file is still there";
  Put(content);
  ExpectHolds(content);
}

TEST_F(WeightStoreTest, FindsATruncatedFile) {
  const std::string content = RandomContent(2'000, 7);
  Put(content);
  fs::resize_file(PathOf(content), 1'999);
  EXPECT_FALSE(store_->Has(HashOf(content), content.size()));
  EXPECT_EQ(store_->Map(HashOf(content), content.size()).status().code(), Code::kDataLoss);
}

TEST_F(WeightStoreTest, EvictsTheLongestUnusedWeightsThatNobodyKeeps) {
  std::vector<std::string> contents;
  for (unsigned i = 0; i < 4; ++i) contents.push_back(RandomContent(1000, 10 + i));
  for (const std::string& content : contents) Put(content);
  const auto now = fs::file_time_type::clock::now();
  for (int i = 0; i < 4; ++i) {
    fs::last_write_time(PathOf(contents[static_cast<std::size_t>(i)]),
                        now - std::chrono::hours(10 - i));
  }
  Reopen(4500);
  ASSERT_TRUE(store_->MakeRoom(500, {}).ok());
  EXPECT_EQ(store_->Usage().bytes, 4000) << "there was room";
  ASSERT_TRUE(store_->MakeRoom(2500, {HashOf(contents[0])}).ok());
  EXPECT_TRUE(store_->Has(HashOf(contents[0]), 1000)) << "it was to be kept";
  EXPECT_FALSE(store_->Has(HashOf(contents[1]), 1000));
  EXPECT_FALSE(store_->Has(HashOf(contents[2]), 1000));
  EXPECT_TRUE(store_->Has(HashOf(contents[3]), 1000)) << "it was used last";
}

TEST_F(WeightStoreTest, EvictsNothingWhenItWouldNotHelpAndShowsTheSum) {
  const std::string kept = RandomContent(1000, 20);
  const std::string other = RandomContent(1000, 21);
  Put(kept);
  Put(other);
  Reopen(2100);
  const Status status = store_->MakeRoom(1200, {HashOf(kept)});
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("1200 bytes of weights are missing, 100 are free and "
                                          "1000 could be freed"));
  EXPECT_TRUE(store_->Has(HashOf(other), other.size()));
}

TEST_F(WeightStoreTest, LeavesFilesAloneThatAreNotItsOwn) {
  const std::string folder = folder_->path() + "/weights";
  std::ofstream(folder + "/notes.txt") << RandomContent(500, 30);
  Reopen(400);
  EXPECT_EQ(store_->Usage().bytes, 0);
  EXPECT_TRUE(store_->MakeRoom(400, {}).ok());
  EXPECT_FALSE(store_->MakeRoom(401, {}).ok());
  EXPECT_TRUE(fs::exists(folder + "/notes.txt"));
}

TEST_F(WeightStoreTest, BelongsToOneProcess) {
  auto second = WeightStore::Open(folder_->path() + "/weights");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(second.status().message(), HasSubstr("another worker"));
}

TEST_F(WeightStoreTest, RefusesAHashThatIsNone) {
  EXPECT_EQ(store_->Map("../../etc/passwd", 1).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_->Fetch("short", 1).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(store_->Has("short", 1));
}

}  // namespace
}  // namespace bramble::worker
