#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/text/marked_text.h"

namespace bramble::model::text {

// What a template may spend on one rendering. A template is a program by a stranger.
struct TemplateBudget {
  std::uint64_t steps = 2'000'000;       // statements, expressions and elements visited
  std::size_t output_bytes = 32u << 20;  // of the prompt
  std::size_t value_bytes = 64u << 20;   // of all strings and lists that were ever made, together
  std::uint32_t depth = 64;              // macros and nested values
};

// The variables of a template besides messages and tools.
struct ChatArguments {
  bool add_generation_prompt = true;
  std::string bos_token;  // spelled as in the vocabulary; trusted: they count as template-made
  std::string eos_token;
  // More variables (OpenAI's `chat_template_kwargs`), a JSON object or null. From the caller, so
  // never template-made.
  const nlohmann::ordered_json* variables = nullptr;
  std::optional<std::tm> now;  // what strftime_now sees; nothing: the local time
  TemplateBudget budget;
};

// A model's chat template: Jinja, as far as templates of models use it. Immutable: Render from any
// thread.
class ChatTemplate {
 public:
  // InvalidArgument or Unimplemented names the line and what is wrong or not known. `source`: at
  // most 1 MB.
  static Result<std::unique_ptr<ChatTemplate>> Parse(std::string_view source);

  ~ChatTemplate();
  ChatTemplate(const ChatTemplate&) = delete;
  ChatTemplate& operator=(const ChatTemplate&) = delete;

  // The prompt, in stretches that say who wrote them (Tokenizer::EncodeMarked takes them).
  // `messages`: an array of objects, normalized (messages.h); `tools`: an array or null.
  // ordered_json, because templates print the keys in the order in which the client sent them:
  // parse request bodies as ordered_json. InvalidArgument: the template refused the messages (then
  // message() is its own words, unchanged: a client's error, HTTP 400), or failed on them
  // (message() names the line). ResourceExhausted: over budget.
  Result<std::vector<MarkedText>> Render(const nlohmann::ordered_json& messages,
                                         const nlohmann::ordered_json& tools,
                                         const ChatArguments& arguments) const;

  const std::string& source() const { return source_; }

 private:
  struct Parsed;
  ChatTemplate(std::string source, std::unique_ptr<Parsed> parsed);

  std::string source_;
  std::unique_ptr<Parsed> parsed_;
};

}  // namespace bramble::model::text
