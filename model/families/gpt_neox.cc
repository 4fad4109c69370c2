// GPT-NeoX and Pythia: a parallel residual with two norms (or a serial one), rotary positions on a
// part of each head, a matrix for q, k and v that is fused head by head in Hugging Face files and
// in thirds in GGUF files.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

// GGUF files do not name the activation. It is the exact GELU, but for the one model of this size.
constexpr std::uint32_t kLayersOf20B = 44;
constexpr std::uint32_t kWidthOf20B = 6144;

}  // namespace

Status CompileGptNeoX(Compilation* c) {
  c->FindPrefix({"gpt_neox.", ""}, "embed_in.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_eps"}, 1e-5, &d);
  d.names.embedding = {"token_embd", "embed_in"};
  d.names.attention_out = {"blk.#.attn_output", "layers.#.attention.dense"};
  d.names.down = {"blk.#.ffn_down", "layers.#.mlp.dense_4h_to_h"};
  d.names.final_norm = {"output_norm", "final_layer_norm"};
  d.names.head = {"output", "embed_out"};
  const TensorName fused = {"blk.#.attn_qkv", "layers.#.attention.query_key_value"};
  if (c->is_hf()) {
    InterleaveQueryKeyValue(&d, fused);
  } else {
    FuseQueryKeyValue(&d, fused);
  }
  d.up = {{"blk.#.ffn_up", "layers.#.mlp.dense_h_to_4h"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = f.Flag({"", "attention_bias"}, true);
  d.feed_bias = true;
  const bool is_20b = d.layers == kLayersOf20B && d.width == kWidthOf20B;
  d.function = ReadFunction(&f, {"", "hidden_act"}, !f.is_hf() && is_20b ? "gelu_new" : "gelu");
  d.parallel = f.Flag({"use_parallel_residual", "use_parallel_residual"}, true);
  d.tied = ReadTied(&f, *c, false);
  const std::uint32_t dims = ReadRotatedDims(&f, "rotary_pct", d.head_dim, 0.25);
  const double base = f.Real({"", "rotary_emb_base"}, 1, kMostRopeBase, 10000);
  d.rotation = ReadRotation(&f, "full_attention", dims, base, c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
