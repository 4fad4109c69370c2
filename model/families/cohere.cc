// Cohere's Command R: a parallel residual with one layer norm without bias, rotary positions by
// neighbours, scaled logits; the larger model has a norm of its own for each head of q and k. The
// second generation (Command R7B) has windows, and positions only in the layers that have one.
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr double kMostLogitScale = 1e6;

Decoder Read(Fields* f, Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Decoder d = ReadSizes(f, c);
  ReadLayerNorm(f, {"attention.layer_norm_epsilon", "layer_norm_eps"}, 1e-5, &d);
  d.norm_bias = false;
  SplitQueryKeyValue(&d);
  GateAndUp(&d);
  d.query_bias = d.output_bias = f->Flag({"", "attention_bias"}, false);
  d.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  d.parallel = true;
  d.one_norm = true;
  d.tied = ReadTied(f, *c, true);
  d.logit_scale = static_cast<float>(
      f->RealOrHfDefault({"logit_scale", "logit_scale"}, 0, kMostLogitScale, 0.0625));
  d.rope_style = v1::Rope::STYLE_PAIR;
  d.rotation = ReadRotation(f, "full_attention", ReadRotatedDims(f, "", d.head_dim, 1), 10000,
                            c->trained_context);
  return d;
}

}  // namespace

Status CompileCohere(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = Read(&f, c);
  if (c->is_hf() ? f.Flag({"", "use_qk_norm"}, false) : c->Has(d.names.query_norm, ".weight")) {
    d.head_norms = HeadNorms::kOwn;
  }
  return CompileDecoder(c, &f, d);
}

Status CompileCohere2(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = Read(&f, c);
  const std::uint32_t window =
      f.Count({"attention.sliding_window", "sliding_window"}, 1, kMostPositions, 4096);
  const std::uint32_t period = f.Count({"", "sliding_window_pattern"}, 1, kMostLayers, 4);
  d.rotated = ReadSlidingLayers(&f, d.layers);
  if (d.rotated.empty()) {
    for (std::uint32_t i = 0; i < d.layers; ++i) d.rotated.push_back((i + 1) % period != 0);
  }
  for (const bool slides : d.rotated) d.windows.push_back(slides ? window : 0);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
