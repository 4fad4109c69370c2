// StableLM: layer norms around a gated feed-forward network, rotary positions on a part of each
// head; the 12B model has a parallel residual with one norm and a norm of its own for each head of
// q and k.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {

Status CompileStableLm(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_eps"}, 1e-5, &d);
  d.names.query_norm.hf = "layers.#.self_attn.q_layernorm";
  d.names.key_norm.hf = "layers.#.self_attn.k_layernorm";
  SplitQueryKeyValue(&d);
  GateAndUp(&d);
  d.query_bias = f.Flag({"", "use_qkv_bias"}, false);
  if (c->is_hf()) {
    if (f.Flag({"", "qk_layernorm"}, false)) d.head_norms = HeadNorms::kOwnEach;
  } else if (c->Has(d.names.query_norm, ".weight")) {
    d.head_norms = HeadNorms::kOwn;
  }
  d.function = ReadFunction(&f, {"", "hidden_act"}, "silu");
  d.parallel = f.Flag({"use_parallel_residual", "use_parallel_residual"}, false);
  d.one_norm = true;
  d.tied = ReadTied(&f, *c, false);
  const bool old_name = f.Has({"", "rope_pct"});
  const std::uint32_t dims =
      ReadRotatedDims(&f, old_name ? "rope_pct" : "partial_rotary_factor", d.head_dim, 0.25);
  d.rotation = ReadRotation(&f, "full_attention", dims, 10000, c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
