// Phi-3, 3.5 and 4: the Llama graph with fused matrices, a window, and rotary frequencies that are
// others in long sequences.
#include <string_view>
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr double kMostFactor = 1e6;

// GGUF keeps LongRoPE's factors as tensors.
void ReadFactors(Fields* f, Compilation* c, Rotation* rotation) {
  constexpr std::string_view kShort = "rope_factors_short.weight";
  constexpr std::string_view kLong = "rope_factors_long.weight";
  if (c->is_hf() || !f->status().ok() || !c->weights.Has(kLong)) return;
  const auto size = static_cast<std::uint32_t>(rotation->frequencies.size());
  const std::vector<float> factors = c->weights.Read(kShort, size);
  const std::vector<float> long_factors = c->weights.Read(kLong, size);
  const std::uint32_t from =
      f->Count({"rope.scaling.original_context_length", ""}, 1, kMostPositions, c->trained_context);
  rotation->magnitude =
      static_cast<float>(f->Real({"rope.scaling.attn_factor", ""}, 0, kMostFactor, 1));
  SetFactors(f, {factors.begin(), factors.end()}, {long_factors.begin(), long_factors.end()}, from,
             rotation);
}

}  // namespace

Status CompilePhi3(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadRmsNorm(&f, 1e-5, &d);
  FuseQueryKeyValue(&d, {"blk.#.attn_qkv", "layers.#.self_attn.qkv_proj"});
  const TensorName fused = {"blk.#.ffn_up", "layers.#.mlp.gate_up_proj"};
  d.gate = {fused, {0, d.inner, 2 * d.inner}};
  d.up = {fused, {d.inner, d.inner, 2 * d.inner}};
  d.function = ReadFunction(&f, {"", "hidden_act"}, "silu");
  d.tied = ReadTied(&f, *c, false);
  d.windows.assign(d.layers,
                   f.Count({"attention.sliding_window", "sliding_window"}, 0, kMostPositions, 0));
  const std::uint32_t dims = ReadRotatedDims(&f, "partial_rotary_factor", d.head_dim, 1);
  d.rotation = ReadRotation(&f, "full_attention", dims, 10000, c->trained_context);
  ReadFactors(&f, c, &*d.rotation);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
