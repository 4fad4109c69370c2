#include <nlohmann/json.hpp>

#include "coordinator/api/answer_writer.h"
#include "coordinator/api/chat_request.h"
#include "coordinator/api/endpoints.h"
#include "model/text/tokenizer.h"
#include "model/text/utf8.h"

namespace bramble::coordinator {
namespace {

using model::text::Specials;
using model::text::Tokenizer;

void Answer(const Call& call, const Json& body) {
  HttpReply reply;
  reply.body = Dump(body);
  call.exchange->Reply(std::move(reply));
}

std::string ShownToken(const Tokenizer& tokenizer, std::uint32_t id) {
  const std::string_view bytes = tokenizer.Bytes(id);
  return model::text::ReplaceInvalidUtf8(bytes.empty() ? tokenizer.Spelling(id) : bytes);
}

std::optional<ApiError> NeedTokenizer(const ServedModel& model) {
  if (model.tokenizer != nullptr) return std::nullopt;
  return BadField({}, "the model '" + model.name + "' has no tokenizer that can be used",
                  "not_supported");
}

// llama.cpp's dialect: {content, add_special = false, parse_special = true, with_pieces} ->
// {tokens}
std::optional<ApiError> TokenizeContent(Fields& fields, const Tokenizer& tokenizer, Json& out) {
  const auto content = fields.Text("content");
  const bool add = fields.Bool("add_special").value_or(false);
  const bool parse = fields.Bool("parse_special").value_or(true);
  const bool pieces = fields.Bool("with_pieces").value_or(false);
  if (fields.error()) return fields.error();
  const Specials specials = parse ? Specials::kParse : Specials::kAsText;
  const auto ids =
      add ? tokenizer.EncodePrompt(*content, specials) : tokenizer.Encode(*content, specials);
  if (!ids.ok()) return FromStatus(ids.status());
  Json tokens = Json::array();
  for (const std::uint32_t id : *ids) {
    if (pieces) {
      tokens.push_back({{"id", id}, {"piece", ShownToken(tokenizer, id)}});
    } else {
      tokens.push_back(id);
    }
  }
  out = {{"tokens", std::move(tokens)}};
  return std::nullopt;
}

// vLLM's: {prompt | messages, add_special_tokens, return_token_strs} -> {count, max_model_len,
// tokens, token_strs}
std::optional<ApiError> TokenizePrompt(const Call& call, Fields& fields, Json& out) {
  const ServedModel& model = call.api.model;
  if (const auto name = fields.Text("model")) fields.Take(CheckModelName(*name, model));
  const bool strings = fields.Bool("return_token_strs").value_or(false);
  std::vector<std::uint32_t> ids;
  if (fields.Find("messages") != nullptr) {
    Json messages;
    const Json* tools = fields.Array("tools");
    const bool generation_prompt = fields.Bool("add_generation_prompt").value_or(true);
    if (auto error = ReadMessages(fields, messages)) return error;
    if (auto error = EncodeChat(messages, tools != nullptr ? *tools : Json(), Json(),
                                generation_prompt, model, ids)) {
      return error;
    }
  } else {
    const auto prompt = fields.Text("prompt");
    if (!prompt) fields.Fail("prompt", "one of 'prompt', 'messages' and 'content' is needed");
    const bool add = fields.Bool("add_special_tokens").value_or(true);
    if (fields.error()) return fields.error();
    auto encoded = add ? model.tokenizer->EncodePrompt(*prompt, Specials::kParse)
                       : model.tokenizer->Encode(*prompt, Specials::kParse);
    if (!encoded.ok()) return FromStatus(encoded.status());
    ids = *std::move(encoded);
  }
  Json names = nullptr;
  if (strings) {
    names = Json::array();
    for (const std::uint32_t id : ids) names.push_back(ShownToken(*model.tokenizer, id));
  }
  out = {{"count", ids.size()},
         {"max_model_len", call.api.context_length()},
         {"tokens", ids},
         {"token_strs", std::move(names)}};
  return std::nullopt;
}

}  // namespace

void ServeTokenize(const Call& call) {
  Json body;
  Json out;
  auto error = ParseBody(call.request.body, body);
  if (!error) error = NeedTokenizer(call.api.model);
  if (!error) {
    Fields fields(body);
    error = fields.Find("content") != nullptr
                ? TokenizeContent(fields, *call.api.model.tokenizer, out)
                : TokenizePrompt(call, fields, out);
  }
  if (error) return call.exchange->Reply(ErrorReply(*error));
  Answer(call, out);
}

// {tokens} -> {prompt} for vLLM's clients, {content} for llama.cpp's: both.
void ServeDetokenize(const Call& call) {
  Json body;
  std::vector<std::uint32_t> ids;
  const ServedModel& model = call.api.model;
  auto error = ParseBody(call.request.body, body);
  if (!error) error = NeedTokenizer(model);
  if (!error) {
    Fields fields(body);
    const Json* tokens = fields.Array("tokens");
    if (tokens == nullptr) {
      fields.Fail("tokens", "'tokens' is missing: it must be an array of ids");
    } else {
      fields.Take(ReadIds(*tokens, "tokens", model.vocabulary_size, ids));
    }
    error = fields.error();
  }
  if (error) return call.exchange->Reply(ErrorReply(*error));
  const std::string text = model.tokenizer->Decode(ids);
  Answer(call, {{"prompt", text}, {"content", text}});
}

}  // namespace bramble::coordinator
