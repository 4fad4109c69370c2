// Gemma and Gemma 2: embeddings scaled by the root of the width, norms whose gains are stored less
// 1 in Hugging Face files. The second has norms in front of and behind each branch, soft caps of
// scores and logits, and a window in every second layer.
#include <cmath>
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr double kMostCap = 1e6;
// GGUF files do not say how queries are scaled: by the head's size, but for the one model of so
// many layers (27B), where it is width / heads.
constexpr std::uint32_t kLayersOf27B = 46;

Decoder Read(Fields* f, Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Decoder d = ReadSizes(f, c);
  ReadRmsNorm(f, 1e-6, &d);
  d.norm_added = c->is_hf() ? 1.0f : 0.0f;
  d.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(d.width)));
  SplitQueryKeyValue(&d);
  GateAndUp(&d);
  d.query_bias = d.output_bias = f->Flag({"", "attention_bias"}, false);
  // `hidden_act` says "gelu" in published files, which never was what the model does.
  d.function = ReadFunction(f, {"", "hidden_activation"}, "gelu_pytorch_tanh");
  d.tied = ReadTied(f, *c, true);
  d.rotation = ReadRotation(f, "full_attention", ReadRotatedDims(f, "", d.head_dim, 1), 10000,
                            c->trained_context);
  return d;
}

}  // namespace

Status CompileGemma(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  return CompileDecoder(c, &f, Read(&f, c));
}

Status CompileGemma2(Compilation* c) {
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = Read(&f, c);
  d.norm_place = NormPlace::kBeforeAndAfter;
  d.names.after_attention = {"blk.#.post_attention_norm", "layers.#.post_attention_layernorm"};
  d.names.feed_norm = {"blk.#.ffn_norm", "layers.#.pre_feedforward_layernorm"};
  d.names.after_feed = {"blk.#.post_ffw_norm", "layers.#.post_feedforward_layernorm"};
  d.score_cap = static_cast<float>(
      f.OptionalReal({"attn_logit_softcapping", "attn_logit_softcapping"}, kMostCap));
  d.logit_cap = static_cast<float>(
      f.OptionalReal({"final_logit_softcapping", "final_logit_softcapping"}, kMostCap));
  const bool by_width = !f.is_hf() && d.layers == kLayersOf27B;
  const double divisor = by_width ? static_cast<double>(d.width) / d.heads : d.head_dim;
  d.scale = static_cast<float>(1 / std::sqrt(f.Real({"", "query_pre_attn_scalar"}, 0, kMostWidth,
                                                    f.is_hf() ? 256 : divisor)));
  const std::uint32_t window =
      f.Count({"attention.sliding_window", "sliding_window"}, 1, kMostPositions, 4096);
  std::vector<bool> sliding = ReadSlidingLayers(&f, d.layers);
  if (sliding.empty()) {
    for (std::uint32_t i = 0; i < d.layers; ++i) sliding.push_back(i % 2 == 0);
  }
  for (const bool slides : sliding) d.windows.push_back(slides ? window : 0);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
