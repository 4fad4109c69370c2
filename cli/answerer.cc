#include "cli/answerer.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "cli/collect.h"
#include "cli/table.h"
#include "model/text/chat_template.h"
#include "model/text/messages.h"
#include "model/text/stream_decoder.h"
#include "model/text/tokenizer.h"

namespace bramble::cli {
namespace {

using nlohmann::ordered_json;

class LocalAnswerer : public Answerer {
 public:
  explicit LocalAnswerer(LocalCluster& cluster) : cluster_(cluster) {}

  Result<Answer> Ask(const ordered_json& messages, const AnswerOptions& options,
                     const std::function<void(std::string_view)>& on_text) override {
    const model::text::Tokenizer* tokenizer = cluster_.model().tokenizer();
    if (tokenizer == nullptr)
      return Failed("the model has no tokenizer, so it cannot answer in text");
    coordinator::GenerateRequest request;
    ASSIGN_OR_RETURN(request.prompt_ids, PromptIds(*tokenizer, messages, options.plain));
    request.max_tokens = MaxTokens(options, request.prompt_ids.size());
    request.end_ids = tokenizer->EndIds();
    request.sampling = GreedySampling();
    request.sampling.set_temperature(static_cast<float>(options.temperature));
    request.sampling.set_top_p(static_cast<float>(options.top_p));
    request.sampling.set_seed(options.seed);
    request.request_id = "run";

    Answer answer;
    model::text::StreamDecoder decoder(*tokenizer);
    const auto hear = [&](const std::string& text) {
      answer.text += text;
      if (!text.empty()) on_text(text);
    };
    ASSIGN_OR_RETURN(
        const Generation generation,
        Generate(cluster_.engine().generator(), std::move(request),
                 [&](const coordinator::GeneratedToken& token) { hear(decoder.Add(token.id)); }));
    hear(decoder.Finish());
    answer.prompt_tokens = generation.end.prompt_tokens;
    answer.tokens = generation.end.generated_tokens;
    answer.seconds_to_first_token = generation.end.seconds_to_first_token;
    answer.seconds = generation.end.seconds_total;
    return answer;
  }

 private:
  // An answer ends where the context does; a prompt that is too long is the generator's to refuse.
  std::uint32_t MaxTokens(const AnswerOptions& options, std::size_t prompt) const {
    const std::size_t context = cluster_.engine().snapshot().context_length;
    const std::size_t room = context > prompt ? context - prompt : 1;
    return static_cast<std::uint32_t>(std::min<std::size_t>(options.max_tokens, room));
  }

  Result<std::vector<std::uint32_t>> PromptIds(const model::text::Tokenizer& tokenizer,
                                               const ordered_json& messages, bool plain) const {
    const model::text::ChatTemplate* chat = cluster_.model().chat_template();
    if (plain || chat == nullptr) {
      return tokenizer.EncodePrompt(messages.back()["content"].get<std::string>(),
                                    model::text::Specials::kParse);
    }
    model::text::ChatArguments arguments;
    if (tokenizer.bos()) arguments.bos_token = tokenizer.Spelling(*tokenizer.bos());
    if (tokenizer.eos()) arguments.eos_token = tokenizer.Spelling(*tokenizer.eos());
    ASSIGN_OR_RETURN(const std::vector<model::text::MarkedText> prompt,
                     chat->Render(messages, nullptr, arguments));
    return tokenizer.EncodeMarked(prompt);
  }

  LocalCluster& cluster_;
};

// Lines of server-sent events, put together from what arrives.
class EventLines {
 public:
  // Calls `on_data` with what follows "data: " on each finished line.
  template <typename OnData>
  void Add(std::string_view bytes, const OnData& on_data) {
    rest_ += bytes;
    std::size_t end = 0;
    while ((end = rest_.find('\n')) != std::string::npos) {
      const std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      if (line.starts_with("data: ")) on_data(line.substr(6));
    }
  }

 private:
  std::string rest_;
};

Status StatusFromBody(long status, const std::string& body) {
  const ordered_json json = ordered_json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    return Failed(json["error"].value("message", "HTTP status " + std::to_string(status)));
  }
  return Failed("HTTP status ", status);
}

class HttpAnswerer : public Answerer {
 public:
  HttpAnswerer(HttpServerAddress address, std::string model)
      : client_(std::move(address)), model_(std::move(model)) {}

  Result<Answer> Ask(const ordered_json& messages, const AnswerOptions& options,
                     const std::function<void(std::string_view)>& on_text) override {
    ordered_json body{{"model", model_},
                      {"max_tokens", options.max_tokens},
                      {"temperature", options.temperature},
                      {"top_p", options.top_p},
                      {"seed", options.seed},
                      {"stream", true},
                      {"stream_options", {{"include_usage", true}}}};
    if (options.plain) {
      body["prompt"] = messages.back()["content"];
    } else {
      body["messages"] = messages;
    }
    const auto start = std::chrono::steady_clock::now();
    const auto since = [&] {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    Answer answer;
    Status failure;
    EventLines lines;
    const auto on_event = [&](const std::string& data) {
      const ordered_json event = ordered_json::parse(data, nullptr, false);
      if (!event.is_object()) return;
      if (event.contains("error")) failure = StatusFromBody(200, data);
      ReadEvent(event, answer, [&](const std::string& text) {
        if (answer.text.empty()) answer.seconds_to_first_token = since();
        answer.text += text;
        on_text(text);
      });
    };
    ASSIGN_OR_RETURN(
        const HttpReply reply,
        client_.PostStreaming(options.plain ? "/v1/completions" : "/v1/chat/completions",
                              body.dump(), [&](std::string_view bytes) {
                                lines.Add(bytes, on_event);
                                return failure.ok();
                              }));
    if (reply.status != 200) return StatusFromBody(reply.status, reply.body);
    RETURN_IF_ERROR(failure);
    answer.seconds = since();
    return answer;
  }

 private:
  template <typename OnText>
  static void ReadEvent(const ordered_json& event, Answer& answer, const OnText& on_text) {
    if (event.contains("usage") && event["usage"].is_object()) {
      answer.prompt_tokens = event["usage"].value("prompt_tokens", 0u);
      answer.tokens = event["usage"].value("completion_tokens", 0u);
    }
    if (!event.contains("choices")) return;
    for (const ordered_json& choice : event["choices"]) {
      std::string text = choice.value("text", "");
      if (choice.contains("delta") && choice["delta"].contains("content") &&
          choice["delta"]["content"].is_string()) {
        text = choice["delta"]["content"].get<std::string>();
      }
      if (!text.empty()) on_text(text);
    }
  }

  HttpClient client_;
  std::string model_;
};

}  // namespace

std::unique_ptr<Answerer> MakeLocalAnswerer(LocalCluster& cluster) {
  return std::make_unique<LocalAnswerer>(cluster);
}

Result<std::unique_ptr<Answerer>> MakeHttpAnswerer(const HttpServerAddress& address,
                                                   const std::string& model) {
  std::string served = model;
  if (served.empty()) {
    ASSIGN_OR_RETURN(const HttpReply reply, HttpClient(address).Get("/v1/models"));
    if (reply.status != 200) return StatusFromBody(reply.status, reply.body);
    const ordered_json list = ordered_json::parse(reply.body, nullptr, false);
    if (!list.is_object() || !list.contains("data") || list["data"].empty())
      return Failed(address.url, " serves no model");
    served = list["data"][0].value("id", "");
  }
  return std::unique_ptr<Answerer>(std::make_unique<HttpAnswerer>(address, served));
}

AnswerOptions AnswerOptionsFrom(const Settings& settings) {
  AnswerOptions options;
  options.max_tokens = static_cast<std::uint32_t>(settings.Integer("max-tokens"));
  options.temperature = settings.Number("temperature");
  options.top_p = settings.Number("top-p");
  options.seed = static_cast<std::uint64_t>(settings.Integer("seed"));
  options.plain = settings.Switch("plain");
  return options;
}

std::string SpeedLine(const Answer& answer) {
  // The first token belongs to the prompt's time.
  const double seconds = answer.seconds - answer.seconds_to_first_token;
  const double rate = answer.tokens > 1 && seconds > 0 ? (answer.tokens - 1) / seconds : 0;
  return std::to_string(answer.tokens) + " tokens in " + HumanSeconds(answer.seconds) + ": " +
         Fixed(rate, 1) + " tokens a second, the first after " +
         HumanSeconds(answer.seconds_to_first_token) +
         " (prompt: " + std::to_string(answer.prompt_tokens) + " tokens)";
}

}  // namespace bramble::cli
