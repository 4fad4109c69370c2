// OLMo 2 and 3: norms only of what each branch gives, and of q and k over all their heads. The
// third has windows in three of four layers, whose rotation is not stretched. The first OLMo has
// layer norms without weights in front of each branch, and may clamp q, k and v.
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr std::uint32_t kLayersPerGlobal = 4;
constexpr double kMostClamp = 1e6;

Decoder Read(Fields* f, Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Decoder d = ReadSizes(f, c);
  SplitQueryKeyValue(&d);
  GateAndUp(&d);
  d.query_bias = d.output_bias = f->Flag({"", "attention_bias"}, false);
  d.function = ReadFunction(f, {"", "hidden_act"}, "silu");
  d.tied = ReadTied(f, *c, false);
  return d;
}

void ReadRotations(Fields* f, std::uint32_t context_length, Decoder* d) {
  const std::uint32_t dims = ReadRotatedDims(f, "", d->head_dim, 1);
  d->rotation = ReadRotation(f, "full_attention", dims, 10000, context_length);
  if (d->windows.empty() || d->rotation->most_positions != 0) return;
  d->local_rotation = ReadPlainRotation(f, "sliding_attention", dims, 10000);
}

void ReadWindows(Fields* f, Decoder* d) {
  const std::uint32_t window =
      f->Count({"attention.sliding_window", "sliding_window"}, 0, kMostPositions, 0);
  if (window == 0) return;
  std::vector<bool> sliding = ReadSlidingLayers(f, d->layers);
  if (sliding.empty()) {
    for (std::uint32_t i = 0; i < d->layers; ++i)
      sliding.push_back((i + 1) % kLayersPerGlobal != 0);
  }
  for (const bool slides : sliding) d->windows.push_back(slides ? window : 0);
}

}  // namespace

Status CompileOlmo(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = Read(&f, c);
  d.norm = v1::Norm::KIND_LAYER;
  d.epsilon = 1e-5f;
  d.norm_gain = false;
  d.clamp = static_cast<float>(f.OptionalReal({"attention.clamp_kqv", "clip_qkv"}, kMostClamp));
  // llama.cpp permutes q and k of this family for a rotation by neighbours.
  d.rope_style = c->is_hf() ? v1::Rope::STYLE_HALF : v1::Rope::STYLE_PAIR;
  ReadRotations(&f, c->trained_context, &d);
  return CompileDecoder(c, &f, d);
}

Status CompileOlmo2(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = Read(&f, c);
  ReadRmsNorm(&f, 1e-5, &d);
  d.norm_place = NormPlace::kAfter;
  d.head_norms = HeadNorms::kWhole;
  d.names.after_attention = {"blk.#.post_attention_norm", "layers.#.post_attention_layernorm"};
  d.names.after_feed = {"blk.#.post_ffw_norm", "layers.#.post_feedforward_layernorm"};
  ReadWindows(&f, &d);
  ReadRotations(&f, c->trained_context, &d);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
