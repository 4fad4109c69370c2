// Every field of a request, wrong: the status and the name of the field.
#include "tests/coordinator/api/api_fixture.h"

namespace bramble::coordinator {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

struct FieldCase {
  const char* fields;  // in addition to a good request
  const char* param;   // "": the request is good
  const char* message = "";
  int status = 400;
};

class Fields : public ApiTest {
 protected:
  void Check(const std::string& target, const char* good, const std::vector<FieldCase>& cases) {
    Start();
    for (const FieldCase& one : cases) {
      SCOPED_TRACE(one.fields);
      auto body = ordered_json::parse(good);
      body.update(ordered_json::parse(one.fields));
      const RawReply reply = Ask("POST", target, body.dump());
      const auto json = ordered_json::parse(reply.body, nullptr, false);
      if (std::string(one.param).empty()) {
        EXPECT_EQ(reply.status, 200) << reply.body;
        continue;
      }
      ASSERT_EQ(reply.status, one.status) << reply.body;
      EXPECT_EQ(json["error"]["param"], one.param) << reply.body;
      EXPECT_THAT(json["error"]["message"], HasSubstr(one.message));
      EXPECT_EQ(json["error"]["type"],
                one.status == 404 ? "not_found_error" : "invalid_request_error");
    }
  }
};

const std::vector<FieldCase> kCommon = {
    {R"({"model": null})", "model", "missing"},
    {R"({"model": 1})", "model", "string"},
    {R"({"model": "gpt-4"})", "model", "gpt-4", 404},
    {R"({"model": "small"})", ""},
    {R"({"temperature": 2})", ""},
    {R"({"temperature": 2.01})", "temperature", "from 0 to 2"},
    {R"({"temperature": -0.1})", "temperature"},
    {R"({"temperature": "hot"})", "temperature", "\"hot\""},
    {R"({"temperature": true})", "temperature"},
    {R"({"temperature": null})", ""},
    {R"({"top_p": 1.5})", "top_p"},
    {R"({"top_p": [1]})", "top_p", "an array"},
    {R"({"min_p": 2})", "min_p"},
    {R"({"top_k": -1})", ""},
    {R"({"top_k": -2})", "top_k"},
    {R"({"top_k": 1.5})", "top_k", "integer"},
    {R"({"top_k": 18446744073709551615})", "top_k"},
    {R"({"presence_penalty": 2.5})", "presence_penalty"},
    {R"({"frequency_penalty": -2.5})", "frequency_penalty"},
    {R"({"repetition_penalty": 0})", "repetition_penalty"},
    {R"({"repeat_penalty": "x"})", "repeat_penalty"},
    {R"({"repeat_penalty": 1.1})", ""},
    {R"({"logit_bias": {"97": 5}})", ""},
    {R"({"logit_bias": {"97": 101}})", "logit_bias", "-100 to 100"},
    {R"({"logit_bias": {"97": "x"}})", "logit_bias"},
    {R"({"logit_bias": {"258": 1}})", "logit_bias", "'258'"},
    {R"({"logit_bias": {"a": 1}})", "logit_bias"},
    {R"({"logit_bias": {"-1": 1}})", "logit_bias"},
    {R"({"logit_bias": {"1 ": 1}})", "logit_bias"},
    {R"({"logit_bias": [1]})", "logit_bias"},
    {R"({"seed": 18446744073709551615})", ""},
    {R"({"seed": -9223372036854775808})", ""},
    {R"({"seed": 18446744073709551616})", "seed"},
    {R"({"seed": 1.5})", "seed"},
    {R"({"seed": "1"})", "seed"},
    {R"({"n": 2})", ""},
    {R"({"n": 0})", "n", "from 1 to 128"},
    {R"({"n": 129})", "n"},
    {R"({"n": "2"})", "n"},
    {R"({"stop": "x"})", ""},
    {R"({"stop": []})", ""},
    {R"({"stop": ""})", "stop", "empty"},
    {R"({"stop": ["a", ""]})", "stop", "stop[1]"},
    {R"({"stop": ["a", 2]})", "stop", "stop[1]"},
    {R"({"stop": {"a": 2}})", "stop"},
    {R"({"stop": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p"]})", ""},
    {R"({"stop": ["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]})", "stop",
     "16"},
    {R"({"max_tokens": -1})", "max_tokens"},
    {R"({"max_tokens": 1.5})", "max_tokens"},
    {R"({"max_tokens": "10"})", "max_tokens"},
    {R"({"max_completion_tokens": -1})", "max_completion_tokens"},
    {R"({"stream": "yes"})", "stream"},
    {R"({"stream": 1})", "stream"},
    {R"({"stream_options": {"include_usage": true}})", "stream_options", "'stream': true"},
    {R"({"stream": true, "stream_options": {"include_usage": 1}})", "stream_options.include_usage"},
    {R"({"stream": true, "stream_options": true})", "stream_options"},
    {R"({"stream": true, "stream_options": {"include_usage": true, "other": 1}})", ""},
    {R"({"stop_token_ids": [97]})", ""},
    {R"({"stop_token_ids": [258]})", "stop_token_ids", "at 0 is 258"},
    {R"({"stop_token_ids": [-1]})", "stop_token_ids"},
    {R"({"stop_token_ids": 97})", "stop_token_ids"},
    {R"({"ignore_eos": 1})", "ignore_eos"},
    {R"({"min_tokens": -1})", "min_tokens"},
    {R"({"min_tokens": 5, "max_tokens": 4})", "min_tokens", "more than max_tokens"},
    {R"({"include_stop_str_in_output": "x"})", "include_stop_str_in_output"},
    {R"({"response_format": {"type": "text"}})", ""},
    {R"({"response_format": {"type": "json_object"}})", "response_format", "json_object"},
    {R"({"response_format": {"type": "json_schema", "json_schema": {}}})", "response_format"},
    {R"({"response_format": "text"})", "response_format"},
    {R"({"response_format": {}})", "response_format"},
    {R"({"guided_json": {}})", "guided_json", "not supported"},
    {R"({"some_new_field": {"any": ["thing"]}, "user": "u", "store": false})", ""},
};

TEST_F(Fields, OfChatsAreReadStrictly) {
  std::vector<FieldCase> cases = kCommon;
  const std::vector<FieldCase> own = {
      {R"({"messages": null})", "messages", "missing"},
      {R"({"messages": "hello"})", "messages", "array"},
      {R"({"messages": []})", "messages", "empty"},
      {R"({"messages": ["x"]})", "messages[0]", "object"},
      {R"({"messages": [{"content": "x"}]})", "messages[0].role", "missing"},
      {R"({"messages": [{"role": "robot", "content": "x"}]})", "messages[0].role", "robot"},
      {R"({"messages": [{"role": 1, "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "user", "content": "a"}, {"role": "user"}]})",
       "messages[1].content", "missing"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]})", ""},
      {R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]})",
       "messages[0].content[0].type", "image_url"},
      {R"({"messages": [{"role": "user", "content": 5}]})", "messages[0].content"},
      {R"({"messages": [{"role": "assistant", "content": null, "tool_calls": []}]})", ""},
      {R"({"messages": [{"role": "tool", "content": "x"}]})", "messages", "tools must not begin"},
      {R"({"max_tokens": 0})", "max_tokens"},
      {R"({"logprobs": true, "top_logprobs": 20})", ""},
      {R"({"logprobs": 5})", "logprobs", "true or false"},
      {R"({"logprobs": true, "top_logprobs": 21})", "top_logprobs"},
      {R"({"top_logprobs": 2})", "top_logprobs", "'logprobs': true"},
      {R"({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]})", ""},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto"})",
       ""},
      {R"({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"})",
       "tool_choice", "required"},
      {R"({"tool_choice": {"type": "function", "function": {"name": "f"}}})", "tool_choice"},
      {R"({"tools": {}})", "tools"},
      {R"({"tools": [1]})", "tools[0]"},
      {R"({"tools": [{"type": "web"}]})", "tools[0].type"},
      {R"({"tools": [{"type": "function"}]})", "tools[0].function"},
      {R"({"tools": [{"type": "function", "function": {"name": 1}}]})", "tools[0].function.name"},
      {R"({"functions": []})", "functions", "not supported"},
      {R"({"modalities": ["text", "audio"]})", "modalities"},
      {R"({"modalities": ["text"]})", ""},
      {R"({"chat_template_kwargs": []})", "chat_template_kwargs"},
      {R"({"add_generation_prompt": "no"})", "add_generation_prompt"},
  };
  cases.insert(cases.end(), own.begin(), own.end());
  Check("/v1/chat/completions",
        R"({"model": "small", "messages": [{"role": "user", "content": "hi"}]})", cases);
}

TEST_F(Fields, OfCompletionsAreReadStrictly) {
  std::vector<FieldCase> cases = kCommon;
  const std::vector<FieldCase> own = {
      {R"({"prompt": null})", "prompt", "missing"},
      {R"({"prompt": 5})", "prompt"},
      {R"({"prompt": []})", "prompt", "empty"},
      {R"({"prompt": [97, 98]})", ""},
      {R"({"prompt": ["a", "b"]})", ""},
      {R"({"prompt": [[97], [98, 99]]})", ""},
      {R"({"prompt": [97, "b"]})", "prompt"},
      {R"({"prompt": ["a", 5]})", "prompt", "prompt[1]"},
      {R"({"prompt": [[97], [9999]]})", "prompt[1]", "9999"},
      {R"({"prompt": [97, 258]})", "prompt", "258"},
      {R"({"prompt": [1.5]})", "prompt"},
      {R"({"prompt": ["a", "b"], "n": 128})", "prompt", "128 answers"},
      {R"({"max_tokens": 0})", "max_tokens", "echo"},
      {R"({"max_tokens": 0, "echo": true})", ""},
      {R"({"echo": 1})", "echo"},
      {R"({"logprobs": 5})", ""},
      {R"({"logprobs": 6})", "logprobs", "from 0 to 5"},
      {R"({"logprobs": true})", "logprobs", "integer"},
      {R"({"suffix": "x"})", "suffix"},
      {R"({"suffix": ""})", ""},
      {R"({"best_of": 2})", "best_of"},
      {R"({"best_of": 2, "n": 2})", ""},
  };
  cases.insert(cases.end(), own.begin(), own.end());
  Check("/v1/completions", R"({"model": "small", "prompt": "hi"})", cases);
}

TEST_F(Fields, OfAnAnswerTooLongForTheContextAreNumbers) {
  Start();
  const auto ask = [&](int prompt, const ordered_json& fields) {
    ordered_json body = {{"model", "small"},
                         {"prompt", std::string(static_cast<std::size_t>(prompt), 'x')}};
    body.update(fields);
    return AskJson("/v1/completions", body);
  };
  EXPECT_FALSE(ask(984, {{"max_tokens", 16}}).contains("error"));
  const auto error = ask(985, {{"max_tokens", 16}})["error"];
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["param"], "prompt");
  for (const char* number : {"1000", "1001", "985", "16"})
    EXPECT_THAT(error["message"], HasSubstr(number));
  EXPECT_EQ(ask(5, {{"max_tokens", 4294967295U}})["error"]["code"], "context_length_exceeded");
  // A chat without a limit may use all that is left.
  AskJson("/v1/chat/completions",
          {{"model", "small"}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}});
  EXPECT_EQ(generator_.last().max_tokens, 1000 - generator_.last().prompt_ids.size());
}

TEST_F(Fields, ReachTheGeneratorAsTheyWereSent) {
  Start();
  AskJson("/v1/completions",
          ordered_json::parse(R"({"model": "small", "prompt": "ab", "max_tokens": 7,
      "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "presence_penalty": 1, "frequency_penalty": -1,
      "repetition_penalty": 1.5, "seed": -1, "logit_bias": {"98": -100}, "min_tokens": 2, "stop_token_ids": [99],
      "logprobs": 3, "n": 2})"));
  const auto requests = generator_.all();
  ASSERT_EQ(requests.size(), 2U);
  const GenerateRequest& first = requests[0];
  EXPECT_EQ(first.prompt_ids, Ids("ab"));
  EXPECT_EQ(first.max_tokens, 7U);
  EXPECT_TRUE(first.logprobs);
  EXPECT_EQ(first.top_logprobs, 3U);
  EXPECT_FALSE(first.prompt_logprobs);
  EXPECT_EQ(first.end_ids, (std::vector<std::uint32_t>{99, 257}));
  EXPECT_FALSE(first.request_id.empty());
  const v1::Sampling& sampling = first.sampling;
  EXPECT_FLOAT_EQ(sampling.temperature(), 0.5F);
  EXPECT_FLOAT_EQ(sampling.top_p(), 0.9F);
  EXPECT_EQ(sampling.top_k(), 40U);
  EXPECT_FLOAT_EQ(sampling.min_p(), 0.05F);
  EXPECT_FLOAT_EQ(sampling.presence_penalty(), 1);
  EXPECT_FLOAT_EQ(sampling.frequency_penalty(), -1);
  EXPECT_FLOAT_EQ(sampling.repetition_penalty(), 1.5F);
  EXPECT_EQ(sampling.bias(0).id(), 98U);
  EXPECT_EQ(sampling.bias(0).value(), -100);
  EXPECT_EQ(sampling.minimum_outputs(), 2U);
  EXPECT_EQ(sampling.ids_after_minimum_size(), 2);
  // All 64 bits; the second choice has the next seed.
  EXPECT_EQ(sampling.seed(), 0xffffffffffffffffU);
  EXPECT_EQ(requests[1].sampling.seed(), 0U);
}

TEST_F(Fields, HaveNeutralDefaults) {
  Start();
  for (int i = 0; i < 2; ++i) AskJson("/v1/completions", {{"model", "small"}, {"prompt", "ab"}});
  const auto requests = generator_.all();
  const v1::Sampling& sampling = requests[0].sampling;
  EXPECT_EQ(requests[0].max_tokens, 16U);
  EXPECT_EQ(sampling.temperature(), 1);
  EXPECT_EQ(sampling.top_p(), 1);
  EXPECT_EQ(sampling.top_k(), 0U);
  EXPECT_EQ(sampling.min_p(), 0);
  EXPECT_EQ(sampling.repetition_penalty(), 1);
  EXPECT_NE(sampling.seed(), requests[1].sampling.seed());
}

TEST_F(Fields, OfABrokenBodyAreNotGuessed) {
  Start();
  const RawReply reply = Ask("POST", "/v1/completions", R"({"model": "small", "prompt": "hi",})");
  EXPECT_EQ(reply.status, 400);
  const auto error = ordered_json::parse(reply.body)["error"];
  EXPECT_EQ(error["code"], "invalid_json");
  EXPECT_THAT(error["message"], HasSubstr("at byte 35"));
}

}  // namespace
}  // namespace bramble::coordinator
