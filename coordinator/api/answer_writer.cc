#include "coordinator/api/answer_writer.h"

#include <utility>

namespace bramble::coordinator {
namespace {

// Comments only: the official client stumbles over an event without data.
constexpr const char* kIdleText = ": keep-alive\n\n";

Json UsageJson(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"completion_tokens_details", {{"reasoning_tokens", 0}}}};
}

Json Envelope(const ReplyFacts& facts, const char* object) {
  return {{"id", facts.id},
          {"object", object},
          {"created", facts.created},
          {"model", facts.model},
          {"system_fingerprint", facts.fingerprint}};
}

class StreamWriter final : public AnswerWriter {
 public:
  StreamWriter(std::shared_ptr<Exchange> exchange, std::unique_ptr<ChoiceShape> shape,
               ReplyFacts facts, std::size_t choices, bool include_usage)
      : exchange_(std::move(exchange)),
        shape_(std::move(shape)),
        facts_(std::move(facts)),
        choices_(choices),
        include_usage_(include_usage) {}

  void Begin() override {
    HttpReply head;
    head.content_type = "text/event-stream; charset=utf-8";
    // The second is for nginx, which else collects what should flow.
    head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
    exchange_->StartStream(std::move(head), kIdleText);
    begun_ = true;
    for (std::size_t i = 0; i < choices_; ++i) {
      if (Json first = shape_->First(i); !first.is_null()) Send(std::move(first));
    }
  }
  void Add(std::size_t choice, Piece piece) override { Send(shape_->Part(choice, piece)); }
  void EndChoice(std::size_t choice, ChoiceEnd end) override { Send(shape_->Last(choice, end)); }
  void End(const Usage& usage) override {
    if (include_usage_) {
      Json chunk = Envelope(facts_, shape_->object(true));
      chunk["choices"] = Json::array();
      chunk["usage"] = UsageJson(usage);
      Event(Dump(chunk));
    }
    Event("[DONE]");
    exchange_->End();
  }
  void Fail(const ApiError& error) override {
    if (!begun_) return exchange_->Reply(ErrorReply(error));
    Event(ErrorJson(error));
    exchange_->End();
  }

 private:
  void Send(Json choice) {
    Json chunk = Envelope(facts_, shape_->object(true));
    chunk["choices"] = Json::array({std::move(choice)});
    if (include_usage_) chunk["usage"] = nullptr;
    Event(Dump(chunk));
  }
  void Event(const std::string& data) { exchange_->Write("data: " + data + "\n\n"); }

  std::shared_ptr<Exchange> exchange_;
  std::unique_ptr<ChoiceShape> shape_;
  const ReplyFacts facts_;
  const std::size_t choices_;
  const bool include_usage_;
  bool begun_ = false;
};

class WholeWriter final : public AnswerWriter {
 public:
  WholeWriter(std::shared_ptr<Exchange> exchange, std::unique_ptr<ChoiceShape> shape,
              ReplyFacts facts, std::size_t choices)
      : exchange_(std::move(exchange)),
        shape_(std::move(shape)),
        facts_(std::move(facts)),
        pieces_(choices),
        ends_(choices) {}

  void Begin() override {}
  void Add(std::size_t choice, Piece piece) override {
    Piece& all = pieces_[choice];
    all.text += piece.text;
    for (TokenEntry& entry : piece.entries) all.entries.push_back(std::move(entry));
  }
  void EndChoice(std::size_t choice, ChoiceEnd end) override { ends_[choice] = std::move(end); }
  void End(const Usage& usage) override {
    Json body = Envelope(facts_, shape_->object(false));
    Json& choices = body["choices"] = Json::array();
    for (std::size_t i = 0; i < pieces_.size(); ++i)
      choices.push_back(shape_->Whole(i, pieces_[i], ends_[i]));
    body["usage"] = UsageJson(usage);
    HttpReply reply;
    reply.body = Dump(body);
    exchange_->Reply(std::move(reply));
  }
  void Fail(const ApiError& error) override { exchange_->Reply(ErrorReply(error)); }

 private:
  std::shared_ptr<Exchange> exchange_;
  std::unique_ptr<ChoiceShape> shape_;
  const ReplyFacts facts_;
  std::vector<Piece> pieces_;
  std::vector<ChoiceEnd> ends_;
};

}  // namespace

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::unique_ptr<AnswerWriter> MakeStreamWriter(std::shared_ptr<Exchange> exchange,
                                               std::unique_ptr<ChoiceShape> shape, ReplyFacts facts,
                                               std::size_t choices, bool include_usage) {
  return std::make_unique<StreamWriter>(std::move(exchange), std::move(shape), std::move(facts),
                                        choices, include_usage);
}

std::unique_ptr<AnswerWriter> MakeWholeWriter(std::shared_ptr<Exchange> exchange,
                                              std::unique_ptr<ChoiceShape> shape, ReplyFacts facts,
                                              std::size_t choices) {
  return std::make_unique<WholeWriter>(std::move(exchange), std::move(shape), std::move(facts),
                                       choices);
}

}  // namespace bramble::coordinator
