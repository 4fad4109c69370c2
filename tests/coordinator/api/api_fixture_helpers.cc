#include <algorithm>
#include <utility>

#include "coordinator/api/joined.h"
#include "model/text/byte_letters.h"
#include "model/text/vocabulary.h"
#include "tests/coordinator/api/api_fixture.h"

namespace bramble::coordinator {

ScriptedGenerator::~ScriptedGenerator() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Result<RequestId> ScriptedGenerator::Submit(GenerateRequest request,
                                            std::shared_ptr<GenerationSink> sink) {
  const std::lock_guard lock(mu_);
  requests_.push_back(request);
  if (!refusal.ok()) return refusal;
  const std::uint64_t number = requests_.size();
  cancelled_[number] = false;
  threads_.emplace_back([this, number, request = std::move(request), sink = std::move(sink)] {
    Answer(request, *sink, number);
  });
  return RequestId(number);
}

void ScriptedGenerator::Cancel(RequestId id) {
  const std::lock_guard lock(mu_);
  cancelled_[id.value()] = true;
  changed_.notify_all();
}

void ScriptedGenerator::Answer(const GenerateRequest& request, GenerationSink& sink,
                               std::uint64_t number) {
  GenerationEnd done;
  done.reason = end;
  done.status = end_status;
  done.prompt_tokens = static_cast<std::uint32_t>(request.prompt_ids.size());
  done.cached_prompt_tokens = 1;
  if (request.prompt_logprobs) {
    for (std::uint32_t i = 0; i + 1 < request.prompt_ids.size(); ++i) {
      sink.OnPrompt({i, -1.0 - i, {{request.prompt_ids[i + 1], -1.0 - i}}, {}});
    }
  }
  for (const std::uint32_t id : script) {
    if (done.generated_tokens == request.max_tokens) break;
    GeneratedToken token;
    token.id = id;
    token.logprob = -0.25 * (1 + done.generated_tokens);
    for (std::uint32_t k = 0; k < request.top_logprobs; ++k)
      token.top.push_back({'a' + k, -0.5 - k});
    ++done.generated_tokens;
    sink.OnToken(token);
    if (std::binary_search(request.end_ids.begin(), request.end_ids.end(), id)) break;
  }
  if (done.reason == FinishReason::kEnd && done.generated_tokens == request.max_tokens) {
    done.reason = FinishReason::kLength;
  }
  if (wait_for_cancel) {
    std::unique_lock lock(mu_);
    changed_.wait(lock, [&] { return stopping_ || cancelled_[number]; });
    done.reason = FinishReason::kCancelled;
    ++cancels_;
    changed_.notify_all();
  }
  sink.OnEnd(done);
}

GenerateRequest ScriptedGenerator::last() const {
  const std::lock_guard lock(mu_);
  return requests_.back();
}

std::vector<GenerateRequest> ScriptedGenerator::all() const {
  const std::lock_guard lock(mu_);
  return requests_;
}

bool ScriptedGenerator::SawCancels(int count) {
  std::unique_lock lock(mu_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return cancels_ >= count; });
}

std::unique_ptr<model::text::Tokenizer> MakeSmallTokenizer() {
  model::text::VocabularySpec spec;
  spec.pre = "gpt-2";
  for (int byte = 0; byte < 256; ++byte) {
    spec.tokens.emplace_back(model::text::LetterOfByte(static_cast<unsigned char>(byte)));
  }
  spec.types.assign(256, model::text::TokenType::kNormal);
  for (const char* word : {"<|im_start|>", "<|im_end|>"}) {
    spec.tokens.emplace_back(word);
    spec.types.push_back(model::text::TokenType::kControl);
  }
  spec.eos = 257;
  auto made = model::text::MakeTokenizer(std::move(spec));
  EXPECT_TRUE(made.ok()) << made.status().message();
  return *std::move(made);
}

ApiTest::ApiTest() : tokenizer_(MakeSmallTokenizer()) {
  auto parsed = model::text::ChatTemplate::Parse(
      "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content "
      "}}<|im_end|>\n{% endfor %}"
      "{% if tools %}tools: {{ tools | tojson }}{% endif %}"
      "{% if messages[0].role == 'tool' %}{{ raise_exception('tools must not begin') }}{% endif %}"
      "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}");
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  template_ = *std::move(parsed);
  options_.model.name = "org/name:tag";
  options_.model.aliases = {"small"};
  options_.model.tokenizer = tokenizer_.get();
  options_.model.chat_template = template_.get();
  options_.model.vocabulary_size = tokenizer_->vocabulary_size();
  options_.model.fingerprint = "fp_test";
  options_.generator = &generator_;
  options_.context_length = [this] { return context_; };
  options_.health = [this] { return health_; };
  options_.metrics = [] { return std::string("bramble_up 1\n"); };
  options_.cluster = [] { return std::string(R"({"state":"ready"})"); };
  options_.targets = [] { return std::string("[]"); };
  generator_.script = Ids("Hello world");
  generator_.script.push_back(257);
}

void ApiTest::Start() {
  auto api = MakeApi(options_);
  ASSERT_TRUE(api.ok()) << api.status().message();
  api_ = *std::move(api);
  auto server = HttpServer::Start({}, *api_);
  ASSERT_TRUE(server.ok()) << server.status().message();
  server_ = *std::move(server);
}

RawReply ApiTest::Ask(const std::string& method, const std::string& target, const std::string& body,
                      const std::string& headers) {
  RawClient client(server_->address());
  std::string bytes = method + " " + target + " HTTP/1.1\r\nHost: test\r\n" + headers;
  if (method == "POST") bytes += Joined("Content-Length: ", body.size(), "\r\n");
  client.Send(bytes + "\r\n" + body);
  return client.ReadReply(method == "HEAD");
}

nlohmann::ordered_json ApiTest::AskJson(const std::string& target,
                                        const nlohmann::ordered_json& body) {
  return nlohmann::ordered_json::parse(Ask("POST", target, body.dump()).body);
}

std::vector<nlohmann::ordered_json> ApiTest::Events(const RawReply& reply, bool* done) {
  std::vector<nlohmann::ordered_json> events;
  if (done != nullptr) *done = false;
  for (std::size_t at = 0; at < reply.body.size();) {
    const std::size_t end = reply.body.find("\n\n", at);
    const std::string event = reply.body.substr(at, end - at);
    at = end == std::string::npos ? end : end + 2;
    EXPECT_EQ(event.rfind("data: ", 0), 0U) << event;
    if (event == "data: [DONE]") {
      EXPECT_EQ(at, reply.body.size());
      if (done != nullptr) *done = true;
    } else {
      events.push_back(nlohmann::ordered_json::parse(event.substr(6)));
    }
  }
  return events;
}

std::vector<std::uint32_t> ApiTest::Ids(std::string_view text) const {
  std::vector<std::uint32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

}  // namespace bramble::coordinator
