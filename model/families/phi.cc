// Phi-1, 1.5 and 2: a parallel residual with one norm, rotary positions on a part of each head,
// biases everywhere.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {

Status CompilePhi(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_eps"}, 1e-5, &d);
  d.names.query_norm.hf = "layers.#.self_attn.q_layernorm";
  d.names.key_norm.hf = "layers.#.self_attn.k_layernorm";
  d.names.attention_out.hf = "layers.#.self_attn.dense";
  d.names.down.hf = "layers.#.mlp.fc2";
  d.names.final_norm.hf = "final_layernorm";
  constexpr TensorName kFused = {"blk.#.attn_qkv", ""};
  if (!c->is_hf() && c->Has(kFused, ".weight")) {
    FuseQueryKeyValue(&d, kFused);
  } else {
    SplitQueryKeyValue(&d);
  }
  d.up = {{"blk.#.ffn_up", "layers.#.mlp.fc1"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = d.feed_bias = d.head_bias = true;
  if (f.Flag({"", "qk_layernorm"}, false)) d.head_norms = HeadNorms::kShared;
  d.head_norm_bias = true;
  d.function = ReadFunction(&f, {"", "hidden_act"}, "gelu_new");
  d.parallel = true;
  d.one_norm = true;
  d.tied = ReadTied(&f, *c, false);
  const std::uint32_t dims = ReadRotatedDims(&f, "partial_rotary_factor", d.head_dim, 0.5);
  d.rotation = ReadRotation(&f, "full_attention", dims, 10000, c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
