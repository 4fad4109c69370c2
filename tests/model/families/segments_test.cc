#include "model/families/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bramble::model::families {
namespace {

using ::testing::ElementsAreArray;

struct Case {
  std::uint32_t inputs;
  std::uint32_t block;
  std::vector<std::uint32_t> ends;
};

TEST(SegmentEnds, CutTheInputsIntoUpToEightPartsOfWholeBlocks) {
  const Case cases[] = {
      {576, 32, {64, 128, 192, 288, 352, 416, 480, 576}},
      {5632, 256, {512, 1280, 2048, 2816, 3328, 4096, 4864, 5632}},  // 22 blocks
      {256, 256, {256}},
      {768, 256, {256, 512, 768}},
      {96, 32, {32, 64, 96}},
      {96, 1, {32, 64, 96}},  // float weights: multiples of 32 all the same
      {80, 1, {32, 64, 80}},  // a rest
      {20, 1, {20}},
      {1000, 1, {128, 256, 384, 512, 640, 768, 896, 1000}},
      {1, 1, {1}},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(SegmentEnds(c.inputs, c.block), ElementsAreArray(c.ends))
        << c.inputs << " by " << c.block;
  }
}

struct HeadCase {
  std::uint32_t inputs;
  std::uint32_t block;
  std::uint32_t kv_heads;
  std::vector<std::uint32_t> ends;
};

TEST(HeadSegmentEnds, CutTheInputsBetweenKeyValueHeads) {
  const HeadCase cases[] = {
      {576, 32, 3, {192, 384, 576}},
      {3072, 32, 8, {384, 768, 1152, 1536, 1920, 2304, 2688, 3072}},
      {3072, 256, 8, {768, 1536, 2304, 3072}},  // 384 is no multiple of 256
      {1024, 256, 1, {1024}},
      {8192, 256, 64, {1024, 2048, 3072, 4096, 5120, 6144, 7168, 8192}},
      {64, 1, 4, {32, 64}},
      {80, 1, 1, {80}},
      {80, 1, 2, {80}},  // 40 is no multiple of 32
  };
  for (const HeadCase& c : cases) {
    EXPECT_THAT(HeadSegmentEnds(c.inputs, c.block, c.kv_heads), ElementsAreArray(c.ends))
        << c.inputs << " by " << c.block << ", " << c.kv_heads << " heads";
  }
}

}  // namespace
}  // namespace bramble::model::families
