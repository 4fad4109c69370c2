// Nemotron (Minitron): layer norms whose gains are stored less 1 in Hugging Face files, squared
// relu, rotary positions on a part of each head.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {

Status CompileNemotron(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "norm_eps"}, 1e-5, &d);
  d.norm_added = c->is_hf() ? 1.0f : 0.0f;
  SplitQueryKeyValue(&d);
  d.up = {{"blk.#.ffn_up", "layers.#.mlp.up_proj"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = f.Flag({"", "attention_bias"}, false);
  d.feed_bias = f.Flag({"", "mlp_bias"}, false);
  d.function = ReadFunction(&f, {"", "hidden_act"}, "relu2");
  d.tied = ReadTied(&f, *c, false);
  const std::uint32_t dims = ReadRotatedDims(&f, "partial_rotary_factor", d.head_dim, 0.5);
  d.rotation = ReadRotation(&f, "full_attention", dims, 10000, c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
