#include "model/families/compile.h"

#include <string_view>
#include <utility>

#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

// Buffers that checkpoints carry along: masks and tables that follow from the description.
constexpr std::string_view kBuffers[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};

bool IsBuffer(std::string_view name) {
  for (const std::string_view buffer : kBuffers) {
    if (name.ends_with(buffer)) return true;
  }
  return false;
}

// Whether some product has quantized weights.
bool IsQuantized(const v1::Program& program) {
  const auto quantized = [&](std::uint32_t weight) {
    const v1::Encoding encoding = program.weights(static_cast<int>(weight)).encoding();
    return encoding != v1::ENCODING_F32 && encoding != v1::ENCODING_F16 &&
           encoding != v1::ENCODING_BF16;
  };
  for (const v1::Block& block : program.blocks()) {
    for (const v1::Operation& operation : block.operations()) {
      if (operation.has_linear() && quantized(operation.linear().weight())) return true;
      if (operation.has_moe() && quantized(operation.moe().up(0))) return true;
    }
  }
  return false;
}

void ChooseCaches(const CompileOptions& options, v1::Program* program) {
  v1::Encoding encoding = options.cache_encoding;
  if (encoding == v1::ENCODING_UNSPECIFIED)
    encoding = IsQuantized(*program) ? v1::ENCODING_F16 : v1::ENCODING_F32;
  for (v1::Cache& cache : *program->mutable_caches()) {
    if (cache.has_key_value()) cache.mutable_key_value()->set_encoding(encoding);
  }
}

}  // namespace

Result<Compiled> Compile(const files::ModelFiles& files, const CompileOptions& options) {
  ASSIGN_OR_RETURN(const Family* family, FindFamily(files));
  Compilation c(files, options);
  RETURN_IF_ERROR(family->compile(&c));
  Compiled compiled;
  compiled.program = c.builder.Take();
  compiled.program.set_version(1);
  compiled.program.set_context_length(c.context_length);
  compiled.program.set_vocabulary_size(c.vocabulary_size);
  if (c.start_id) compiled.program.set_start_id(*c.start_id);
  for (const v1::Weight& weight : c.weights.all()) *compiled.program.add_weights() = weight;
  ChooseCaches(options, &compiled.program);
  compiled.recipes = c.weights.recipes();
  compiled.layers = c.layers;
  compiled.trained_context = c.trained_context;
  for (std::string& name : c.weights.Unused()) {
    if (!IsBuffer(name)) compiled.unused_tensors.push_back(std::move(name));
  }
  return compiled;
}

}  // namespace bramble::model::families
