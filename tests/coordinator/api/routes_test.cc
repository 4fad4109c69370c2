#include "coordinator/api/routes.h"

#include <fstream>

#include "coordinator/api/joined.h"
#include "coordinator/api/keys.h"
#include "tests/coordinator/api/api_fixture.h"

namespace bramble::coordinator {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

class Routing : public ApiTest {};

TEST_F(Routing, ListsAndRetrievesModelsByEitherSpellingOfASlash) {
  Start();
  const auto list = ordered_json::parse(Ask("GET", "/v1/models").body);
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "org/name:tag");
  EXPECT_EQ(list["data"][0]["max_model_len"], 1000);
  for (const char* path : {"/v1/models/org%2Fname:tag", "/v1/models/org/name:tag",
                           "/v1/models/org%2fname%3Atag?x=1"}) {
    const RawReply reply = Ask("GET", path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_EQ(ordered_json::parse(reply.body)["id"], "org/name:tag");
  }
  EXPECT_EQ(ordered_json::parse(Ask("GET", "/v1/models/small").body)["root"], "org/name:tag");
  const RawReply unknown = Ask("GET", "/v1/models/other");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(ordered_json::parse(unknown.body)["error"]["code"], "model_not_found");
  EXPECT_EQ(Ask("GET", "/v1/models/100%").status, 400);
}

TEST_F(Routing, SaysWhatIsNotThereAndWhatIsNotAllowed) {
  Start();
  const RawReply nothing = Ask("GET", "/v1/nothing");
  EXPECT_EQ(nothing.status, 404);
  const auto error = ordered_json::parse(nothing.body)["error"];
  EXPECT_THAT(error["message"], HasSubstr("/v1/nothing"));
  EXPECT_TRUE(error["param"].is_null());
  const RawReply wrong = Ask("GET", "/v1/chat/completions");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at("allow"), "POST, OPTIONS");
  EXPECT_EQ(Ask("DELETE", "/v1/models/small").headers.at("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(Ask("OPTIONS", "/v1/completions").status, 204);
  EXPECT_EQ(Ask("OPTIONS", "/v1/completions").headers.at("allow"), "POST, OPTIONS");
  EXPECT_EQ(Ask("OPTIONS", "/nowhere").status, 404);
  EXPECT_EQ(Ask("HEAD", "/v1/models").status, 200);
  EXPECT_EQ(Ask("GET", "/v1/modelsx").status, 404);
  EXPECT_EQ(Ask("GET", "/v1/models/").status, 404);
}

TEST_F(Routing, AnswersEveryRowOfItsTable) {
  Start();
  for (const Route& route : Routes()) {
    std::string path = route.path;
    if (const std::size_t at = path.find("{id}"); at != std::string::npos)
      path.replace(at, 4, "small");
    // An empty object is no request that a POST could serve, but the route is there.
    const RawReply reply = Ask(route.method, path, "{}");
    EXPECT_EQ(reply.status, std::string(route.method) == "GET" ? 200 : 400) << path;
    EXPECT_FALSE(reply.headers.at("x-request-id").empty());
  }
}

TEST_F(Routing, ThePageIsOneThatFetchesNothingFromElsewhere) {
  Start();
  for (const auto& [path, type] : {std::pair("/", "text/html; charset=utf-8"),
                                   std::pair("/page.css", "text/css; charset=utf-8"),
                                   std::pair("/page.js", "text/javascript; charset=utf-8")}) {
    const RawReply reply = Ask("GET", path);
    EXPECT_EQ(reply.headers.at("content-type"), type);
    EXPECT_THAT(reply.headers.at("content-security-policy"), HasSubstr("default-src 'none'"));
    EXPECT_GT(reply.body.size(), 1000U) << path;
    EXPECT_THAT(reply.body, testing::Not(testing::ContainsRegex("(src|href)=\"(https?:)?//")));
    EXPECT_THAT(reply.body, testing::Not(HasSubstr("innerHTML")));
  }
}

TEST_F(Routing, AsksForAKeyEverywhereButForHealthMetricsAndThePage) {
  options_.api_key_hashes = {HashApiKey("first-key-0123456789"),
                             HashApiKey("second-key-0123456789")};
  Start();
  for (const Route& route : Routes()) {
    EXPECT_EQ(Ask(route.method, route.path, "{}").status == 401, !route.open) << route.path;
  }
  EXPECT_EQ(Ask("GET", "/nowhere").status, 401);
  EXPECT_EQ(Ask("OPTIONS", "/v1/models").status, 204);
  const auto ask = [&](const std::string& authorization) {
    return Ask("GET", "/v1/models", {}, "Authorization: " + authorization + "\r\n");
  };
  EXPECT_EQ(ask("Bearer first-key-0123456789").status, 200);
  EXPECT_EQ(ask("bearer second-key-0123456789 ").status, 200);
  for (const char* wrong :
       {"Bearer", "Bearer ", "Bearer first-key-012345678", "Basic first-key-0123456789",
        "first-key-0123456789", "Bearer first-key-0123456789x"}) {
    const RawReply reply = ask(wrong);
    EXPECT_EQ(reply.status, 401) << wrong;
    EXPECT_EQ(ordered_json::parse(reply.body)["error"]["code"], "invalid_api_key");
    EXPECT_EQ(reply.headers.at("www-authenticate"), "Bearer");
    EXPECT_THAT(reply.body, testing::Not(HasSubstr("first-key")));
  }
}

TEST_F(Routing, RefusesAHashThatIsNone) {
  options_.api_key_hashes = {"abc"};
  EXPECT_FALSE(MakeApi(options_).ok());
  options_.api_key_hashes = {"abcd"};
  EXPECT_FALSE(MakeApi(options_).ok());
}

TEST_F(Routing, TellsHealthMetricsVersionAndCluster) {
  Start();
  EXPECT_EQ(Ask("GET", "/health").body, R"({"status":"ok"})");
  const RawReply metrics = Ask("GET", "/metrics");
  EXPECT_EQ(metrics.body, "bramble_up 1\n");
  EXPECT_EQ(metrics.headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_TRUE(ordered_json::parse(Ask("GET", "/version").body).contains("version"));
  EXPECT_EQ(Ask("GET", "/bramble/v1/cluster").body, R"({"state":"ready"})");
  health_ = Unavailable("waiting for workers: 1 of 3 are here");
  const RawReply sick = Ask("GET", "/v1/health");
  EXPECT_EQ(sick.status, 503);
  EXPECT_EQ(sick.headers.at("retry-after"), "1");
  EXPECT_THAT(sick.body, HasSubstr("1 of 3"));
}

TEST_F(Routing, TokenizesInBothDialects) {
  Start();
  const auto ask = [&](const char* path, const char* body) {
    return AskJson(path, ordered_json::parse(body));
  };
  EXPECT_EQ(ask("/tokenize", R"({"content": "ab<|im_end|>"})")["tokens"],
            ordered_json({97, 98, 257}));
  EXPECT_EQ(
      ask("/tokenize", R"({"content": "<|im_end|>", "parse_special": false})")["tokens"].size(),
      10U);
  EXPECT_EQ(ask("/tokenize", R"({"content": "a", "with_pieces": true})")["tokens"][0]["piece"],
            "a");
  const auto prompt = ask("/tokenize", R"({"prompt": "ab", "return_token_strs": true})");
  EXPECT_EQ(prompt["count"], 2);
  EXPECT_EQ(prompt["max_model_len"], 1000);
  EXPECT_EQ(prompt["token_strs"], ordered_json({"a", "b"}));
  const auto chat =
      ask("/tokenize", R"({"messages": [{"role": "user", "content": "<|im_end|>"}]})");
  EXPECT_EQ(chat["tokens"][0], 256);
  EXPECT_EQ(chat["count"], 1 + 5 + 10 + 1 + 1 + 1 + 10);
  EXPECT_EQ(ask("/detokenize", R"({"tokens": [97, 98]})")["prompt"], "ab");
  EXPECT_EQ(ask("/detokenize", R"({"tokens": [97, 98]})")["content"], "ab");
  EXPECT_EQ(ask("/detokenize", R"({"tokens": [1000]})")["error"]["param"], "tokens");
  EXPECT_EQ(ask("/tokenize", R"({"content": 1})")["error"]["param"], "content");
  EXPECT_EQ(ask("/tokenize", R"({})")["error"]["param"], "prompt");
}

TEST_F(Routing, PutsEachRequestInTheBooks) {
  std::mutex mu;
  std::vector<std::string> seen;
  options_.observe = [&](const std::string& route, unsigned status, double seconds) {
    EXPECT_GE(seconds, 0);
    const std::lock_guard lock(mu);
    seen.push_back(Joined(route, " ", status));
  };
  Start();
  Ask("GET", "/v1/models/a/b");
  Ask("GET", "/etc/passwd");
  server_->Shutdown(std::chrono::seconds(1));
  EXPECT_THAT(seen, testing::ElementsAre("/v1/models/{id} 404", " 404"));
}

TEST(ApiKeyFile, TakesOneKeyALineAndNamesABadOne) {
  const std::string path = testing::TempDir() + "/bramble_api_keys";
  const auto write = [&](const std::string& text) { std::ofstream(path) << text; };
  write("# keys\n\n  first-key-0123456789  \r\nsecond-key-0123456789");
  const auto keys = ReadApiKeyFile(path);
  ASSERT_TRUE(keys.ok()) << keys.status().message();
  EXPECT_THAT(*keys, testing::ElementsAre(HashApiKey("first-key-0123456789"),
                                          HashApiKey("second-key-0123456789")));
  write("first-key-0123456789\nshort\n");
  EXPECT_THAT(ReadApiKeyFile(path).status().message(), HasSubstr("line 2"));
  write("# nothing\n");
  EXPECT_FALSE(ReadApiKeyFile(path).ok());
}

}  // namespace
}  // namespace bramble::coordinator
