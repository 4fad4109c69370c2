#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/api/embedding_request.h"
#include "coordinator/api/errors.h"
#include "coordinator/api/http.h"
#include "coordinator/serve/generator.h"

namespace bramble::coordinator {

// One request for embeddings on its way: its inputs go to the generator a few at a time, so that a
// large batch neither fills the queue nor holds up others. Everything runs on the exchange's
// strand; the generator's calls are posted there. Lives as long as the generator holds one of its
// sinks.
class EmbeddingJob : public std::enable_shared_from_this<EmbeddingJob> {
 public:
  EmbeddingJob(std::shared_ptr<Exchange> exchange, Generator& generator, EmbeddingRequest request,
               std::string model, std::string request_id);

  // On the strand.
  void Start();

 private:
  class Sink;
  struct Input {
    std::optional<RequestId> id;
    std::string values;  // little-endian f32
    bool ended = false;
  };

  void SubmitMore();
  void OnSequence(std::size_t index, const SequenceOutput& output);
  void OnEnd(std::size_t index, const GenerationEnd& end);
  void Answer();
  void Fail(const ApiError& error);

  std::shared_ptr<Exchange> exchange_;
  Generator& generator_;
  const EmbeddingRequest request_;
  const std::string model_;
  const std::string request_id_;
  std::vector<Input> inputs_;
  std::size_t submitted_ = 0;
  std::size_t ended_ = 0;
  std::uint64_t prompt_tokens_ = 0;
  bool over_ = false;
};

// The first `dimensions` of the numbers, as bytes of f32. Fewer than all are brought to length 1
// again.
std::string Shortened(const std::string& values, std::uint32_t dimensions);

}  // namespace bramble::coordinator
