#include "common/grpc_status.h"

#include <gtest/gtest.h>

namespace bramble {
namespace {

TEST(GrpcStatus, CrossesTheWireUnchanged) {
  for (int code = 1; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    const Status status(static_cast<Code>(code), "why");
    const Status back = FromGrpc(ToGrpc(status));
    EXPECT_EQ(back.code(), status.code());
    EXPECT_EQ(back.message(), "why");
  }
  EXPECT_TRUE(FromGrpc(ToGrpc(Status())).ok());
}

TEST(GrpcStatus, ACodeThatNobodyDefinesIsUnknown) {
  for (const int code : {-1, 17, 31}) {
    EXPECT_EQ(FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(code), "x")).code(),
              Code::kUnknown);
  }
}

}  // namespace
}  // namespace bramble
