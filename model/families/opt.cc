// OPT: learned positions whose table begins two rows early, relu, biases everywhere. The 350M model
// has its norms behind the sums, embeddings narrower than the model, and no norm in front of the
// head. llama.cpp has no graph of it.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {.kv_heads = "", .head_dim = "", .inner = "ffn_dim"};
constexpr double kEpsilon = 1e-5;  // config.json does not name it
constexpr std::uint32_t kPositionOffset = 2;

}  // namespace

Status CompileOpt(Compilation* c) {
  c->FindPrefix({"model.decoder.", "decoder.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  d.norm = v1::Norm::KIND_LAYER;
  d.epsilon = static_cast<float>(kEpsilon);
  d.norm_gain = d.norm_bias = f.Flag({"", "layer_norm_elementwise_affine"}, true);
  d.names.positions = {"", "embed_positions"};
  d.names.project_in = {"", "project_in"};
  d.names.project_out = {"", "project_out"};
  d.names.attention_norm = {"", "layers.#.self_attn_layer_norm"};
  d.names.attention_out = {"", "layers.#.self_attn.out_proj"};
  d.names.feed_norm = {"", "layers.#.final_layer_norm"};
  d.names.down = {"", "layers.#.fc2"};
  d.names.final_norm = {"", "final_layer_norm"};
  SplitQueryKeyValue(&d);
  d.up = {{"", "layers.#.fc1"}, AllRows(d.inner)};
  d.embedding_width = f.Count({"", "word_embed_proj_dim"}, 1, kMostWidth, d.width);
  d.position_offset = kPositionOffset;
  d.query_bias = d.output_bias = d.feed_bias = f.Flag({"", "enable_bias"}, true);
  d.function = ReadFunction(&f, {"", "activation_function"}, "relu");
  const bool before = f.Flag({"", "do_layer_norm_before"}, true);
  d.norm_place = before ? NormPlace::kBefore : NormPlace::kBehindSum;
  d.final_norm = before && !f.Flag({"", "_remove_final_layer_norm"}, false);
  d.tied = ReadTied(&f, *c, true);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
