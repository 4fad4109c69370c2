#include "coordinator/api/request_reader.h"

#include <gtest/gtest.h>

#include <random>

namespace bramble::coordinator {
namespace {

// All requests in `bytes`, offered in parts of random size.
std::vector<HttpRequest> ReadAll(const std::string& bytes, std::mt19937& random) {
  RequestReader reader({});
  std::vector<HttpRequest> requests;
  std::string input;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = 1 + random() % 40;
    input += bytes.substr(at, length);
    at += length;
    for (;;) {
      const auto before = reader.state();
      const std::size_t taken = reader.Feed(input);
      input.erase(0, taken);
      if (reader.state() == RequestReader::State::kFailed) {
        ADD_FAILURE() << reader.refusal().message;
        return requests;
      }
      if (reader.state() == RequestReader::State::kDone) {
        requests.push_back(reader.Take());
      } else if (taken == 0 && reader.state() == before) {
        break;
      }
    }
  }
  return requests;
}

TEST(RequestReader, ReadsTheSameRequestsHoweverTheBytesAreCut) {
  const std::string bytes =
      "GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Request-Id: one\r\n\r\n"
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world"
      "\r\nPOST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "a\r\n0123456789\r\n3;x=y\r\nabc\r\n0\r\n\r\n"
      "DELETE http://host:1/d HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    const auto requests = ReadAll(bytes, random);
    ASSERT_EQ(requests.size(), 4U);
    EXPECT_EQ(requests[0].target, "/a?b=c");
    EXPECT_EQ(requests[0].path(), "/a");
    EXPECT_EQ(requests[0].request_id, "one");
    EXPECT_EQ(requests[1].body, "hello world");
    EXPECT_EQ(requests[2].body, "0123456789abc");
    EXPECT_EQ(requests[3].method, "DELETE");
    EXPECT_EQ(requests[3].target, "/d");
  }
}

TEST(RequestReader, SurvivesDamagedRequests) {
  const std::string good =
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: "
      "100-continue\r\n\r\n"
      "5\r\nhello\r\n0\r\n\r\n";
  std::mt19937 random(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (std::size_t n = 1 + random() % 4; n > 0; --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    RequestReader reader({512, 100});
    std::string input = bytes;
    for (int i = 0; i < 10 && reader.state() != RequestReader::State::kFailed; ++i) {
      input.erase(0, reader.Feed(input));
      if (reader.state() == RequestReader::State::kDone) {
        EXPECT_LE(reader.Take().body.size(), 100U);
      }
    }
    if (reader.state() == RequestReader::State::kFailed) {
      EXPECT_GE(reader.refusal().status, 400U);
      EXPECT_FALSE(reader.refusal().message.empty());
    }
  }
}

TEST(PercentDecode, DecodesWhatIsWellFormedAndNothingElse) {
  EXPECT_EQ(PercentDecode("org%2Fname:tag"), "org/name:tag");
  EXPECT_EQ(PercentDecode("a+b%20%c3%A9"), "a+b \xc3\xa9");
  EXPECT_EQ(PercentDecode("100%"), std::nullopt);
  EXPECT_EQ(PercentDecode("%2"), std::nullopt);
  EXPECT_EQ(PercentDecode("%zz"), std::nullopt);
}

}  // namespace
}  // namespace bramble::coordinator
