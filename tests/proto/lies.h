// Programs that lie, each lie with the place and the reason of its refusal.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "proto/program/check.h"
#include "tests/proto/small_program.h"

namespace bramble::testing {

inline v1::Program Small() { return MakeSmallProgram().program; }

inline v1::Operation& Op(v1::Program& program, const std::string& block, const std::string& name) {
  for (v1::Block& b : *program.mutable_blocks()) {
    if (b.name() != block) continue;
    for (v1::Operation& op : *b.mutable_operations()) {
      if (op.name() == name) return op;
    }
  }
  ADD_FAILURE() << "no operation " << block << "/" << name;
  return *program.mutable_blocks(0)->mutable_operations(0);
}

inline v1::Value& Output(v1::Program& program, int block, const v1::Operation& op) {
  return *program.mutable_blocks(block)->mutable_values(static_cast<int>(op.outputs(0)));
}

// One lie, where it is told, and a part of the answer.
struct Lie {
  const char* what;
  std::function<void(v1::Program&)> tell;
  const char* path;
  const char* reason;
};

inline void ExpectRefused(const std::vector<Lie>& lies) {
  for (const Lie& lie : lies) {
    v1::Program liar = Small();
    lie.tell(liar);
    const Status status = program::CheckProgram(liar);
    ASSERT_FALSE(status.ok()) << lie.what;
    EXPECT_EQ(status.message().rfind(lie.path, 0), 0U) << lie.what << ": " << status.message();
    EXPECT_NE(status.message().find(lie.reason), std::string::npos)
        << lie.what << ": " << status.message();
  }
}

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

}  // namespace bramble::testing
