#include "model/model.h"

#include <algorithm>
#include <utility>

#include "model/codec.h"
#include "model/facts.h"
#include "model/families/compile.h"
#include "model/files/quote.h"
#include "model/files/table.h"
#include "model/weight_table.h"
#include "proto/program/check.h"

namespace bramble::model {
namespace {

// Padding of the vocabulary: rows of the output matrix that no token has must never be drawn.
void LimitSample(std::uint32_t tokens, v1::Program* program) {
  for (v1::Block& block : *program->mutable_blocks()) {
    for (v1::Operation& operation : *block.mutable_operations()) {
      if (operation.has_sample() && tokens < program->vocabulary_size()) {
        operation.mutable_sample()->set_limit(tokens);
      }
    }
  }
}

class OpenedModel final : public Model {
 public:
  OpenedModel(files::ModelFiles files, v1::Program program, WeightTable weights, Codec codec,
              ModelFacts facts)
      : files_(std::move(files)),
        program_(std::move(program)),
        weights_(std::move(weights)),
        codec_(std::move(codec)),
        facts_(std::move(facts)) {}

  const v1::Program& program() const override { return program_; }
  Result<std::span<const std::byte>> WeightBytes(std::string_view sha256) const override {
    return weights_.Find(sha256);
  }
  const text::Tokenizer* tokenizer() const override { return codec_.tokenizer.get(); }
  const text::ChatTemplate* chat_template() const override { return codec_.chat_template.get(); }
  const ModelFacts& facts() const override { return facts_; }

 private:
  files::ModelFiles files_;  // owns the maps that the weights point into
  v1::Program program_;
  WeightTable weights_;
  Codec codec_;
  ModelFacts facts_;
};

}  // namespace

Result<std::unique_ptr<Model>> Model::Open(const std::string& path, const CompileOptions& options) {
  ASSIGN_OR_RETURN(files::ModelFiles files, files::OpenModelFiles(path));
  const std::string place = files::QuotePath(files.path);
  auto compiled = families::Compile(files, options);
  if (!compiled.ok()) return compiled.status().WithContext(place);
  ModelFacts facts = FileFacts(files);
  AddProgramFacts(*compiled, &facts);
  v1::Program program = std::move(compiled->program);
  program.set_name(facts.name);
  ASSIGN_OR_RETURN(WeightTable weights, WeightTable::Make(compiled->recipes, &program));
  Codec codec = ReadCodec(files, program.vocabulary_size());
  AddCodecFacts(codec, &facts);
  if (codec.tokenizer != nullptr) LimitSample(codec.tokenizer->vocabulary_size(), &program);
  // Whatever a description got past the family's checks must not become a program that workers
  // refuse.
  RETURN_IF_ERROR(program::CheckProgram(program).WithContext(place));
  return std::unique_ptr<Model>(new OpenedModel(std::move(files), std::move(program),
                                                std::move(weights), std::move(codec),
                                                std::move(facts)));
}

Result<ModelFacts> Model::Inspect(const std::string& path) {
  ASSIGN_OR_RETURN(const files::ModelFiles files, files::OpenModelFiles(path));
  ModelFacts facts = FileFacts(files);
  const auto compiled = families::Compile(files, CompileOptions());
  if (compiled.ok()) {
    AddProgramFacts(*compiled, &facts);
  } else {
    facts.notes.push_back("no program: " + compiled.status().message());
  }
  AddCodecFacts(ReadCodec(files, facts.vocabulary_size), &facts);
  return facts;
}

}  // namespace bramble::model
