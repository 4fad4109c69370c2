#include "tests/model_golden/engine_helpers.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "tests/model_golden/model_source.h"

namespace bramble {
namespace {

constexpr std::uint32_t kPagePositions = 16;
constexpr std::uint32_t kOutputs = 8;

}  // namespace

Result<std::unique_ptr<Engine>> Engine::Open(const std::string& path,
                                             const model::CompileOptions& options,
                                             std::uint32_t room) {
  std::unique_ptr<Engine> engine(new Engine());
  ASSIGN_OR_RETURN(engine->model_, model::Model::Open(path, options));
  v1::Limits limits;
  limits.set_max_rows(room);
  limits.set_max_outputs(kOutputs);
  limits.set_max_sequences(1);
  limits.set_pages((room + kPagePositions - 1) / kPagePositions);
  limits.set_page_positions(kPagePositions);
  ModelSource source(*engine->model_);
  worker::ExecutorOptions executor_options;
  executor_options.threads = 1;  // two would mostly wait for each other on a busy machine
  ASSIGN_OR_RETURN(engine->executor_, worker::Executor::Create(engine->model_->program(), limits,
                                                               executor_options, source));
  return engine;
}

void Engine::AddPages(std::uint32_t positions, v1::Span* span) {
  for (; pages_ * kPagePositions < positions; ++pages_) span->add_pages(pages_);
}

v1::Step Engine::Start(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> at,
                       std::span<const std::uint32_t> source) {
  v1::Step step;
  if (step_ > 0) step.add_closed(0);
  pages_ = 0;
  position_ = static_cast<std::uint32_t>(ids.size());
  v1::Span* span = step.add_spans();
  span->mutable_ids()->Assign(ids.begin(), ids.end());
  span->mutable_source_ids()->Assign(source.begin(), source.end());
  AddPages(std::max(position_, static_cast<std::uint32_t>(source.size())), span);
  span->mutable_start()->set_prompt_ids(position_);
  span->mutable_start()->mutable_sampling()->set_top_p(1);
  span->mutable_start()->mutable_sampling()->set_repetition_penalty(1);
  for (const std::uint32_t row : at) {
    v1::Output* output = span->add_outputs();
    output->set_row(row);
    output->set_logits(true);
  }
  return step;
}

Result<std::vector<std::vector<float>>> Engine::Prefill(std::span<const std::uint32_t> ids,
                                                        std::span<const std::uint32_t> at,
                                                        std::span<const std::uint32_t> source) {
  return Run(Start(ids, at, source));
}

Result<Engine::Encoded> Engine::Encode(std::span<const std::uint32_t> ids,
                                       std::span<const std::uint32_t> types,
                                       std::span<const std::uint32_t> at) {
  v1::Step step = Start(ids, at, {});
  step.mutable_spans(0)->mutable_types()->Assign(types.begin(), types.end());
  step.set_number(step_++);
  worker::StepOutput out;
  RETURN_IF_ERROR(executor_->Run(step, {}, out));
  Encoded encoded;
  std::size_t next = 0;
  for (const v1::Stream& stream : model_->program().streams()) {
    if (!stream.leaves()) continue;
    const std::string& bytes = out.activations.at(next++);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    if (stream.result() == v1::RESULT_KIND_EMBEDDING) encoded.embedding = values;
    if (stream.result() == v1::RESULT_KIND_HEAD) encoded.head = values;
    if (stream.result() != v1::RESULT_KIND_HIDDEN) continue;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const auto row = values.begin() + static_cast<std::ptrdiff_t>(i * stream.width());
      encoded.hidden.emplace_back(row, row + stream.width());
    }
  }
  return encoded;
}

Result<std::vector<float>> Engine::Decode(std::uint32_t id) {
  v1::Step step;
  v1::Span* span = step.add_spans();
  span->set_position(position_++);
  span->add_ids(id);
  AddPages(position_, span);
  span->add_outputs()->set_logits(true);
  ASSIGN_OR_RETURN(auto rows, Run(std::move(step)));
  return std::move(rows.front());
}

Result<std::vector<std::vector<float>>> Engine::Run(v1::Step step) {
  step.set_number(step_++);
  worker::StepOutput out;
  RETURN_IF_ERROR(executor_->Run(step, {}, out));
  std::vector<std::vector<float>> rows;
  for (const v1::OutputResult& output : out.outputs) {
    rows.emplace_back(output.logits().size() / sizeof(float));
    std::memcpy(rows.back().data(), output.logits().data(), output.logits().size());
  }
  return rows;
}

}  // namespace bramble
