// MPT: ALiBi in place of positions, norms without biases, no biases at all, and q, k and v that may
// be clamped.
#include <bit>
#include <cmath>
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {.width = "d_model",
                              .layers = "n_layers",
                              .heads = "n_heads",
                              .kv_heads = "attn_config.kv_n_heads",
                              .head_dim = "",
                              .inner = "",
                              .context = "max_seq_len"};
constexpr double kMostSlope = 1e3;
constexpr double kMostClamp = 1e6;
constexpr double kMostScale = 1e6;

// Those of the power of two that is not below: every second one, from the second on, then the
// others. For other numbers of heads that is not the order of AlibiSlopes.
std::vector<float> Slopes(std::uint32_t heads, double most) {
  const std::uint32_t above = std::bit_ceil(heads);
  std::vector<float> slopes;
  for (const std::uint32_t first : {1u, 0u}) {
    const std::uint32_t from = above == heads ? 0 : first;
    const std::uint32_t step = above == heads ? 1 : 2;
    for (std::uint32_t i = from; i < above && slopes.size() < heads; i += step) {
      slopes.push_back(static_cast<float>(std::exp2(-most * (i + 1) / above)));
    }
  }
  return slopes;
}

void ReadAttention(Fields* f, Decoder* d) {
  if (!f->Flag({"", "attn_config.alibi"}, true)) {
    f->Refuse(Unimplemented(f->Place({"", "attn_config.alibi"}),
                            ": models without ALiBi cannot be compiled yet"));
  }
  const double most =
      f->Real({"attention.max_alibi_bias", "attn_config.alibi_bias_max"}, 0, kMostSlope, 8);
  d->slopes = Slopes(d->heads, most);
  d->clamp = static_cast<float>(
      f->OptionalReal({"attention.clamp_kqv", "attn_config.clip_qkv"}, kMostClamp));
  d->scale = static_cast<float>(f->OptionalReal({"", "attn_config.softmax_scale"}, kMostScale));
}

}  // namespace

Status CompileMpt(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_epsilon"}, 1e-5, &d);
  d.norm_bias = false;
  d.names.embedding.hf = "wte";
  d.names.attention_norm.hf = "blocks.#.norm_1";
  d.names.attention_out.hf = "blocks.#.attn.out_proj";
  d.names.feed_norm.hf = "blocks.#.norm_2";
  d.names.down.hf = "blocks.#.ffn.down_proj";
  d.names.final_norm.hf = "norm_f";
  FuseQueryKeyValue(&d, {"blk.#.attn_qkv", "blocks.#.attn.Wqkv"});
  d.up = {{"blk.#.ffn_up", "blocks.#.ffn.up_proj"}, AllRows(d.inner)};
  d.function = v1::FUNCTION_GELU_ERF;
  d.tied = ReadTied(&f, *c, true);
  ReadAttention(&f, &d);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
