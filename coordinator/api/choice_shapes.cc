#include <algorithm>
#include <string_view>
#include <utility>

#include "coordinator/api/answer_writer.h"
#include "model/text/utf8.h"

namespace bramble::coordinator {
namespace {

using model::text::Tokenizer;

// A control token adds no bytes to a text: it is shown as the vocabulary spells it.
std::string_view ShownBytes(const Tokenizer& tokenizer, std::uint32_t id) {
  const std::string_view bytes = tokenizer.Bytes(id);
  return bytes.empty() ? tokenizer.Spelling(id) : bytes;
}

// Half a character is shown as U+FFFD; its bytes tell the truth.
std::string ShownToken(const Tokenizer& tokenizer, std::uint32_t id) {
  return model::text::ReplaceInvalidUtf8(ShownBytes(tokenizer, id));
}

Json TokenJson(const Tokenizer& tokenizer, std::uint32_t id, double logprob) {
  Json bytes = Json::array();
  for (const char byte : ShownBytes(tokenizer, id))
    bytes.push_back(static_cast<unsigned char>(byte));
  return {{"token", ShownToken(tokenizer, id)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
}

class ChatShape final : public ChoiceShape {
 public:
  ChatShape(const Tokenizer& tokenizer, bool logprobs)
      : tokenizer_(tokenizer), logprobs_(logprobs) {}

  const char* object(bool chunk) const override {
    return chunk ? "chat.completion.chunk" : "chat.completion";
  }

  Json First(std::size_t choice) const override {
    return Chunk(choice, {{"role", "assistant"}, {"content", ""}}, nullptr);
  }
  Json Part(std::size_t choice, const Piece& piece) const override {
    return Chunk(choice, {{"content", piece.text}}, Logprobs(piece));
  }
  Json Last(std::size_t choice, const ChoiceEnd& end) const override {
    Json chunk = Chunk(choice, Json::object(), nullptr);
    chunk["finish_reason"] = end.finish_reason;
    chunk["stop_reason"] = end.stop_reason;
    return chunk;
  }
  Json Whole(std::size_t choice, const Piece& all, const ChoiceEnd& end) const override {
    return {{"index", choice},
            {"message", {{"role", "assistant"}, {"content", all.text}, {"refusal", nullptr}}},
            {"logprobs", Logprobs(all)},
            {"finish_reason", end.finish_reason},
            {"stop_reason", end.stop_reason}};
  }

 private:
  static Json Chunk(std::size_t choice, Json delta, Json logprobs) {
    return {{"index", choice},
            {"delta", std::move(delta)},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", nullptr}};
  }

  Json Logprobs(const Piece& piece) const {
    if (!logprobs_) return nullptr;
    Json content = Json::array();
    for (const TokenEntry& entry : piece.entries) {
      Json token = TokenJson(tokenizer_, entry.id, entry.logprob.value_or(0));
      Json& top = token["top_logprobs"] = Json::array();
      for (const TokenProbability& other : entry.top)
        top.push_back(TokenJson(tokenizer_, other.id, other.logprob));
      content.push_back(std::move(token));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  const Tokenizer& tokenizer_;
  const bool logprobs_;
};

class CompletionShape final : public ChoiceShape {
 public:
  CompletionShape(const Tokenizer& tokenizer, bool logprobs)
      : tokenizer_(tokenizer), logprobs_(logprobs) {}

  const char* object(bool /*chunk*/) const override { return "text_completion"; }

  Json First(std::size_t /*choice*/) const override { return nullptr; }
  Json Part(std::size_t choice, const Piece& piece) const override {
    return Choice(choice, piece.text, Logprobs(piece), nullptr, nullptr);
  }
  Json Last(std::size_t choice, const ChoiceEnd& end) const override {
    return Choice(choice, "", nullptr, end.finish_reason, end.stop_reason);
  }
  Json Whole(std::size_t choice, const Piece& all, const ChoiceEnd& end) const override {
    return Choice(choice, all.text, Logprobs(all), end.finish_reason, end.stop_reason);
  }

 private:
  static Json Choice(std::size_t choice, const std::string& text, Json logprobs, Json finish,
                     Json stop) {
    return {{"index", choice},
            {"text", text},
            {"logprobs", std::move(logprobs)},
            {"finish_reason", std::move(finish)},
            {"stop_reason", std::move(stop)}};
  }

  Json Logprobs(const Piece& piece) const {
    if (!logprobs_) return nullptr;
    Json tokens = Json::array();
    Json values = Json::array();
    Json tops = Json::array();
    Json offsets = Json::array();
    for (const TokenEntry& entry : piece.entries) {
      tokens.push_back(ShownToken(tokenizer_, entry.id));
      values.push_back(entry.logprob ? Json(*entry.logprob) : Json(nullptr));
      tops.push_back(Top(entry));
      offsets.push_back(entry.offset);
    }
    return {{"tokens", std::move(tokens)},
            {"token_logprobs", std::move(values)},
            {"top_logprobs", std::move(tops)},
            {"text_offset", std::move(offsets)}};
  }

  // A map from the shown token. The drawn one is always in it; of two that look alike the likelier
  // stays.
  Json Top(const TokenEntry& entry) const {
    if (!entry.logprob) return nullptr;
    Json map = Json::object();
    for (const TokenProbability& other : entry.top)
      map.emplace(ShownToken(tokenizer_, other.id), other.logprob);
    map.emplace(ShownToken(tokenizer_, entry.id), *entry.logprob);
    return map;
  }

  const Tokenizer& tokenizer_;
  const bool logprobs_;
};

}  // namespace

std::unique_ptr<ChoiceShape> MakeChatShape(const Tokenizer& tokenizer, bool logprobs) {
  return std::make_unique<ChatShape>(tokenizer, logprobs);
}

std::unique_ptr<ChoiceShape> MakeCompletionShape(const Tokenizer& tokenizer, bool logprobs) {
  return std::make_unique<CompletionShape>(tokenizer, logprobs);
}

}  // namespace bramble::coordinator
