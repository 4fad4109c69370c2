#include "coordinator/devices.h"

#include <gtest/gtest.h>

namespace bramble::coordinator {
namespace {

v1::Program WithACache() {
  v1::Program program;
  program.set_context_length(64);
  program.add_caches()->mutable_key_value();
  program.add_blocks()->add_operations()->mutable_rope();
  return program;
}

TEST(SharesPrefixes, IsTrueWherePagesHoldAllThatOutlivesAStep) {
  v1::Program program = WithACache();
  EXPECT_TRUE(SharesPrefixes(program));
  program.add_caches()->mutable_state();
  EXPECT_FALSE(SharesPrefixes(program));
}

// The beginning of a long prompt has other keys than a short prompt that is the same as far as it
// goes.
TEST(SharesPrefixes, IsFalseWhereAnglesFollowTheLength) {
  v1::Program program = WithACache();
  v1::Rope& rope = *program.mutable_blocks(0)->mutable_operations(0)->mutable_rope();
  rope.set_long_from(16);
  EXPECT_FALSE(SharesPrefixes(program));
  rope.set_long_from(64);
  EXPECT_TRUE(SharesPrefixes(program)) << "no prompt is that long";
}

}  // namespace
}  // namespace bramble::coordinator
