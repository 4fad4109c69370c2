#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/status.h"
#include "model/model.h"
#include "worker/exec/executor.h"

namespace bramble {

// A model, compiled and run whole in this process, one sequence at a time: what the reference
// implementations are compared with. A failure of the engine is a failure of the test that asked.
class Engine {
 public:
  // `room`: positions that the caches hold.
  static Result<std::unique_ptr<Engine>> Open(const std::string& path,
                                              const model::CompileOptions& options,
                                              std::uint32_t room);

  // The logits of the positions `at` (rising) of a prompt. Begins a new sequence; `source`: what a
  // model reads that has an encoder.
  Result<std::vector<std::vector<float>>> Prefill(std::span<const std::uint32_t> ids,
                                                  std::span<const std::uint32_t> at,
                                                  std::span<const std::uint32_t> source = {});

  // What an encoder makes of a text. Missing results are empty.
  struct Encoded {
    std::vector<std::vector<float>> hidden;  // of the positions asked for
    std::vector<float> embedding;
    std::vector<float> head;
  };
  Result<Encoded> Encode(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> types,
                         std::span<const std::uint32_t> at);
  // Appends one id to the sequence and gives the logits behind it.
  Result<std::vector<float>> Decode(std::uint32_t id);

  const model::Model& model() const { return *model_; }

 private:
  Engine() = default;
  v1::Step Start(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> at,
                 std::span<const std::uint32_t> source);
  Result<std::vector<std::vector<float>>> Run(v1::Step step);
  void AddPages(std::uint32_t positions, v1::Span* span);

  std::unique_ptr<model::Model> model_;
  std::unique_ptr<worker::Executor> executor_;
  std::uint32_t position_ = 0;  // ids of the sequence so far
  std::uint32_t pages_ = 0;     // that it has
  std::uint64_t step_ = 0;
};

}  // namespace bramble
