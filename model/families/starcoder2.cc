// StarCoder2: layer norms, biases everywhere, grouped queries with rotary positions, a plain
// feed-forward network, a window.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {

Status CompileStarCoder2(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "norm_epsilon"}, 1e-5, &d);
  d.names.down.hf = "layers.#.mlp.c_proj";
  SplitQueryKeyValue(&d);
  d.up = {{"blk.#.ffn_up", "layers.#.mlp.c_fc"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = d.feed_bias = f.Flag({"", "use_bias"}, true);
  d.function = ReadFunction(&f, {"", "hidden_act"}, "gelu_pytorch_tanh");
  d.tied = ReadTied(&f, *c, true);
  d.windows.assign(d.layers,
                   f.Count({"attention.sliding_window", "sliding_window"}, 0, kMostPositions, 0));
  d.rotation = ReadRotation(&f, "full_attention", ReadRotatedDims(&f, "", d.head_dim, 1), 10000,
                            c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
