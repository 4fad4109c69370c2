// HTTP over real sockets: what a client may send, and what it gets. The handler here is small: the
// subject is the server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/coordinator/api/http_fixture.h"

namespace bramble::coordinator {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

TEST_F(Http, AnswersPipelinedRequestsInTheirOrder) {
  Start();
  RawClient client(address_);
  client.Send(Get("/echo?1") + Post("/stream", "x") + Post("/echo?3", "body") + Get("/echo?4"));
  EXPECT_EQ(client.ReadReply().body, "GET /echo?1 ");
  EXPECT_EQ(client.ReadReply().body, "one two three");
  EXPECT_EQ(client.ReadReply().body, "POST /echo?3 body");
  EXPECT_EQ(client.ReadReply().body, "GET /echo?4 ");
}

TEST_F(Http, AnswersThousandsOfPipelinedRequestsOfWhichTheSocketHoldsOnlySome) {
  Start();
  RawClient client(address_);
  constexpr int kRequests = 5000;
  std::thread sender([&] {
    for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(client.Send(Get(Joined("/echo?", i))));
  });
  // The sender fills its buffer while nothing is read: the server must not.
  for (int i = 0; i < kRequests; ++i) {
    ASSERT_EQ(client.ReadReply().body, Joined("GET /echo?", i, " "));
  }
  sender.join();
}

TEST_F(Http, TakesARequestByteByByte) {
  Start();
  RawClient client(address_);
  for (const char c : Post("/echo", "hello")) client.Send(std::string(1, c));
  EXPECT_EQ(client.ReadReply().body, "POST /echo hello");
}

TEST_F(Http, TakesAChunkedBodyAndAnOldClientsExtraLineBreak) {
  Start();
  RawClient client(address_);
  client.Send(
      "\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;name=value\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: x\r\n\r\n");
  EXPECT_EQ(client.ReadReply().body, "POST /echo hello!");
  client.Send(Get("/echo"));
  EXPECT_EQ(client.ReadReply().status, 200);
}

TEST_F(Http, HeadHasTheLengthButNotTheBody) {
  Start();
  RawClient client(address_);
  client.Send("HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  const RawReply head = client.ReadReply(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.headers.at("content-length"), "11");
  client.Send(Get("/echo"));
  EXPECT_EQ(client.ReadReply().body, "GET /echo ");
}

TEST_F(Http, EchoesAHarmlessRequestIdAndMakesOneOtherwise) {
  Start();
  EXPECT_EQ(Ask("GET /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: my-id_1\r\n\r\n")
                .headers.at("x-request-id"),
            "my-id_1");
  const std::string made = Ask("GET /echo HTTP/1.1\r\nHost: a\r\nX-Request-Id: a b\"\r\n\r\n")
                               .headers.at("x-request-id");
  EXPECT_THAT(made, testing::StartsWith("req-"));
  EXPECT_THAT(Ask("nonsense\r\n\r\n").headers.at("x-request-id"), testing::StartsWith("req-"));
}

TEST_F(Http, RefusesWhatIsNotARequestWithTheReason) {
  options_.header_bytes = 4096;
  options_.body_bytes = 1000;
  Start();
  const std::string host = "Host: a\r\n";
  const struct {
    std::string bytes;
    int status;
    const char* text;
  } cases[] = {
      {"nonsense\r\n\r\n", 400, "not an HTTP request"},
      {std::string("\0\1\2\3\r\n\r\n", 8), 400, "not an HTTP request"},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400, "TLS"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "Host"},
      {"GET / HTTP/1.1\r\n" + host + host + "\r\n", 400, "Host"},
      {"GET / HTTP/2.0\r\n" + host + "\r\n", 505, "HTTP/1.1"},
      {"GET foo HTTP/1.1\r\n" + host + "\r\n", 400, "begin with '/'"},
      {Joined("GET / HTTP/1.1\r\n", host, "X: ", std::string(5000, 'x'), "\r\n\r\n"), 431, "4096"},
      {Joined("GET /", std::string(5000, 'x')), 431, "4096"},
      {"POST /echo HTTP/1.1\r\n" + host + "\r\n", 411, "Content-Length"},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1001\r\n\r\n", 413, "1000"},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999999\r\n\r\n", 400,
       ""},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400, ""},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400,
       ""},
      {"POST /echo HTTP/1.1\r\n" + host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
       400, ""},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n", 501, "chunked"},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, ""},
      {"POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413,
       "1000"},
      {Joined("POST /echo HTTP/1.1\r\n", host, "Transfer-Encoding: chunked\r\n\r\n1;",
              std::string(9000, 'x')),
       400, "no end"},
      {"POST /echo HTTP/1.1\r\n" + host + "Expect: magic\r\nContent-Length: 1\r\n\r\n", 417,
       "Expect"},
  };
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.bytes.substr(0, 80));
    const RawReply reply = Ask(bad.bytes);
    EXPECT_EQ(reply.status, bad.status);
    EXPECT_THAT(reply.body, HasSubstr(bad.text));
    EXPECT_EQ(reply.headers.at("connection"), "close");
  }
  ExpectAlive();
}

TEST_F(Http, TellsAClientThatItsHundredMegabytesAreTooMany) {
  Start();
  RawClient client(address_);
  ASSERT_TRUE(client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n"));
  const std::string megabyte(1'000'000, ' ');
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(client.Send(megabyte));
  const RawReply reply = client.ReadReply();
  EXPECT_EQ(reply.status, 413);
  EXPECT_TRUE(reply.complete);
  ExpectAlive();
}

TEST_F(Http, RefusesByTheHeadBeforeTheBodyHasCome) {
  Start();
  RawClient client(address_);
  client.Send(
      "POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.ReadReply().status, 401);
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(Http, SaysContinueToAClientThatWaitsForIt) {
  Start();
  RawClient client(address_);
  client.Send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.ReadReply().status, 100);
  client.Send("hello");
  EXPECT_EQ(client.ReadReply().body, "POST /echo hello");
}

TEST_F(Http, EndsARequestWhoseHeadersDripIn) {
  options_.header = milliseconds(50);
  Start();
  const RawReply reply = Ask("GET / HTTP/1.1\r\nHo");
  EXPECT_EQ(reply.status, 408);
  EXPECT_THAT(reply.body, HasSubstr("headers"));
}

TEST_F(Http, EndsARequestWhoseBodyStops) {
  options_.body = milliseconds(50);
  Start();
  const RawReply reply = Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  EXPECT_EQ(reply.status, 408);
  EXPECT_THAT(reply.body, HasSubstr("body"));
}

TEST_F(Http, ClosesAnIdleConnectionWithoutAWord) {
  options_.idle = milliseconds(50);
  Start();
  RawClient fresh(address_);
  EXPECT_EQ(fresh.ReadToEnd(), "");
  RawClient used(address_);
  used.Send(Get("/echo"));
  EXPECT_EQ(used.ReadReply().status, 200);
  EXPECT_EQ(used.ReadToEnd(), "");
}

TEST_F(Http, SurvivesClientsThatConnectAndLeave) {
  Start();
  for (int i = 0; i < 200; ++i) {
    RawClient client(address_);
    if (i % 2 == 0) client.Send("GET / HT");
    if (i % 3 == 0) client.Reset();
  }
  ExpectAlive();
}

TEST_F(Http, AnswersAClientThatHasClosedItsHalf) {
  Start();
  RawClient client(address_);
  client.Send(Get("/echo?1") + Get("/echo?2"));
  client.EndSending();
  EXPECT_EQ(client.ReadReply().body, "GET /echo?1 ");
  EXPECT_EQ(client.ReadReply().body, "GET /echo?2 ");
  EXPECT_EQ(client.ReadToEnd(), "");
}

TEST_F(Http, NoticesAtOnceThatAClientHasLeft) {
  Start();
  for (const char* path : {"/hold", "/hold-stream"}) {
    auto client = std::make_unique<RawClient>(address_);
    client->Send(Get(path));
    const auto exchange = handler_.TakeHeld();
    ASSERT_NE(exchange, nullptr);
    client.reset();
    EXPECT_TRUE(handler_.Saw("gone", path == std::string("/hold") ? 1 : 2));
  }
}

TEST_F(Http, GivesUpAStreamThatNobodyReads) {
  options_.unread_bytes = 1'000'000;
  Start();
  RawClient client(address_, 4096);
  client.Send(Get("/flood"));
  EXPECT_TRUE(handler_.Saw("gone"));
  EXPECT_TRUE(handler_.Saw("left"));
}

TEST_F(Http, GivesUpAReplyThatTheClientStopsTaking) {
  options_.write = milliseconds(50);
  options_.unread_bytes = std::size_t{1} << 30;
  Start();
  RawClient client(address_, 4096);
  client.Send(Get("/flood"));
  EXPECT_TRUE(handler_.Saw("gone"));
}

TEST_F(Http, FillsASilentStreamWithTheIdleText) {
  options_.stream_idle = milliseconds(20);
  Start();
  RawClient client(address_);
  client.Send(Get("/hold-stream"));
  const auto exchange = handler_.TakeHeld();
  EXPECT_THAT(client.ReadUntil(": idle"), HasSubstr("begin "));
  exchange->End();
  EXPECT_TRUE(handler_.Saw("answered 200"));
}

TEST_F(Http, AnswersFiveHundredForAHandlerThatThrowsOrForgets) {
  Start();
  EXPECT_EQ(Ask(Get("/throw")).status, 500);
  EXPECT_EQ(Ask(Get("/drop")).status, 500);
  ExpectAlive();
}

TEST_F(Http, SpeaksTheOldVersionToo) {
  Start();
  RawClient client(address_);
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  const std::string all = client.ReadToEnd();
  EXPECT_THAT(all, testing::StartsWith("HTTP/1.0 200"));
  EXPECT_THAT(all, testing::EndsWith("\r\n\r\none two three"));
  RawClient kept(address_);
  kept.Send("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(kept.ReadReply().headers.at("connection"), "keep-alive");
}

TEST_F(Http, TurnsAwayMoreConnectionsThanItsLimit) {
  options_.connections = 2;
  Start();
  RawClient first(address_);
  RawClient second(address_);
  first.Send(Get("/echo"));
  second.Send(Get("/echo"));
  EXPECT_EQ(first.ReadReply().status, 200);
  EXPECT_EQ(second.ReadReply().status, 200);
  RawClient third(address_);
  const RawReply reply = third.ReadReply();
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.headers.at("retry-after"), "1");
}

TEST_F(Http, FinishesWhatIsInFlightWhenItStops) {
  Start();
  RawClient idle(address_);
  idle.Send(Get("/echo"));
  EXPECT_EQ(idle.ReadReply().status, 200);
  RawClient busy(address_);
  busy.Send(Get("/hold"));
  const auto exchange = handler_.TakeHeld();
  ASSERT_NE(exchange, nullptr);
  std::thread stopping([&] { server_->Shutdown(std::chrono::seconds(10)); });
  EXPECT_EQ(idle.ReadToEnd(), "");
  exchange->Reply({200, "text/plain", "late", {}, false});
  const RawReply reply = busy.ReadReply();
  EXPECT_EQ(reply.body, "late");
  EXPECT_EQ(reply.headers.at("connection"), "close");
  stopping.join();
  EXPECT_FALSE(RawClient(address_).connected());
}

TEST_F(Http, EndsWhatDoesNotFinishInTime) {
  Start();
  RawClient client(address_);
  client.Send(Get("/hold"));
  const auto exchange = handler_.TakeHeld();
  server_->Shutdown(milliseconds(10));
  EXPECT_TRUE(handler_.Saw("gone"));
  server_.reset();
  // A generator may still hold an exchange of a server that is no more.
  exchange->Post([] { ADD_FAILURE() << "ran without a server"; });
  exchange->Reply({});
}

TEST_F(Http, SaysWhyItCannotListen) {
  Start();
  HttpOptions same;
  same.listen = address_;
  const auto second = HttpServer::Start(same, handler_);
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(second.status().message(), HasSubstr(address_));
  HttpOptions half;
  half.tls_certificate_file = "cert.pem";
  EXPECT_THAT(HttpServer::Start(half, handler_).status().message(), HasSubstr("key file"));
}

}  // namespace
}  // namespace bramble::coordinator
