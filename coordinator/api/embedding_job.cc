#include "coordinator/api/embedding_job.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "coordinator/api/answer_writer.h"
#include "coordinator/api/base64.h"

namespace bramble::coordinator {
namespace {

// Inputs that the generator has at once.
constexpr std::size_t kAtOnce = 32;

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

// The double that prints as the shortest text that is this float: half as many digits as all of it.
double Shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0;
  std::from_chars(text, end, number);
  return number;
}

Json VectorJson(const std::string& bytes, bool base64) {
  if (base64) return Base64(bytes);
  Json list = Json::array();
  for (const float value : Floats(bytes)) list.push_back(Shortest(value));
  return list;
}

}  // namespace

std::string Shortened(const std::string& values, std::uint32_t dimensions) {
  std::vector<float> kept = Floats(values);
  if (dimensions >= kept.size()) return values;
  kept.resize(dimensions);
  double square = 0;
  for (const float value : kept) square += static_cast<double>(value) * value;
  const double length = std::sqrt(square);
  if (length > 0) {
    for (float& value : kept) value = static_cast<float>(value / length);
  }
  return {reinterpret_cast<const char*>(kept.data()), kept.size() * sizeof(float)};
}

// Called on the generator's thread: hands over, nothing else.
class EmbeddingJob::Sink final : public GenerationSink {
 public:
  Sink(std::shared_ptr<EmbeddingJob> job, std::size_t index)
      : job_(std::move(job)), index_(index) {}

  void OnPrompt(const PromptOutput&) override {}
  void OnToken(const GeneratedToken&) override {}
  void OnSequence(const SequenceOutput& output) override {
    job_->exchange_->Post([j = job_, i = index_, output] { j->OnSequence(i, output); });
  }
  void OnEnd(const GenerationEnd& end) override {
    job_->exchange_->Post([j = job_, i = index_, end] { j->OnEnd(i, end); });
  }

 private:
  std::shared_ptr<EmbeddingJob> job_;
  const std::size_t index_;
};

EmbeddingJob::EmbeddingJob(std::shared_ptr<Exchange> exchange, Generator& generator,
                           EmbeddingRequest request, std::string model, std::string request_id)
    : exchange_(std::move(exchange)),
      generator_(generator),
      request_(std::move(request)),
      model_(std::move(model)),
      request_id_(std::move(request_id)),
      inputs_(request_.inputs.size()) {}

void EmbeddingJob::Start() {
  exchange_->OnGone([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->over_) return;
    ApiError error;
    error.status = 499;
    error.code = "client_closed_request";
    error.message = "the client closed its side of the connection, so the request was given up";
    self->Fail(error);
  });
  SubmitMore();
}

void EmbeddingJob::SubmitMore() {
  while (submitted_ < inputs_.size() && submitted_ - ended_ < kAtOnce) {
    const std::size_t index = submitted_++;
    GenerateRequest request;
    request.prompt_ids = request_.inputs[index];
    request.request_id = request_id_;
    const auto id =
        generator_.Submit(std::move(request), std::make_shared<Sink>(shared_from_this(), index));
    if (!id.ok()) return Fail(FromStatus(id.status()));
    inputs_[index].id = *id;
  }
}

void EmbeddingJob::OnSequence(std::size_t index, const SequenceOutput& output) {
  if (output.kind == v1::RESULT_KIND_EMBEDDING) inputs_[index].values = output.values;
}

void EmbeddingJob::OnEnd(std::size_t index, const GenerationEnd& end) {
  inputs_[index].ended = true;
  ++ended_;
  if (over_) return;
  if (end.reason == FinishReason::kError) return Fail(FromStatus(end.status));
  if (end.reason == FinishReason::kCancelled || inputs_[index].values.empty()) {
    return Fail(FromStatus(Unavailable("the server is stopping: the request was given up")));
  }
  prompt_tokens_ += end.prompt_tokens;
  SubmitMore();
  if (!over_ && ended_ == inputs_.size()) Answer();
}

void EmbeddingJob::Answer() {
  over_ = true;
  Json data = Json::array();
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    const std::string values = Shortened(inputs_[i].values, request_.dimensions);
    data.push_back({{"object", "embedding"},
                    {"index", i},
                    {"embedding", VectorJson(values, request_.base64)}});
  }
  HttpReply reply;
  reply.body =
      Dump({{"object", "list"},
            {"data", std::move(data)},
            {"model", model_},
            {"usage", {{"prompt_tokens", prompt_tokens_}, {"total_tokens", prompt_tokens_}}}});
  exchange_->Reply(std::move(reply));
}

void EmbeddingJob::Fail(const ApiError& error) {
  if (std::exchange(over_, true)) return;
  for (const Input& input : inputs_) {
    if (input.id && !input.ended) generator_.Cancel(*input.id);
  }
  exchange_->Reply(ErrorReply(error));
}

}  // namespace bramble::coordinator
