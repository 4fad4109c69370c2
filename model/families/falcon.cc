// Falcon. 7B: a parallel residual with one norm, one key-value head. 40B ("new decoder
// architecture"): two norms, several key-value heads, fused group by group in Hugging Face files.
// RW: a serial residual, ALiBi, biases. The second generation is as 40B with one norm. GGUF files
// hold q, k and v one after the other.
#include <bit>
#include <cmath>
#include <cstdint>

#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

SizeNames Sizes(const Fields& f) {
  SizeNames names = {.kv_heads = "", .head_dim = "", .inner = "ffn_hidden_size"};
  // The names of the first published files.
  if (!f.Has({"", names.layers})) names.layers = "n_layer";
  if (!f.Has({"", names.heads})) names.heads = "n_head";
  return names;
}

// How many norms a layer has in front of its branches.
void ReadNorms(Fields* f, const Compilation& c, bool grouped, Decoder* d) {
  constexpr TensorName kOwnNorm = {"blk.#.attn_norm_2", ""};
  const std::uint32_t norms = f->Count({"", "num_ln_in_parallel_attn"}, 1, 2, grouped ? 2 : 1);
  const bool two = c.is_hf() ? grouped && norms == 2 : c.Has(kOwnNorm, ".weight");
  d->one_norm = !two;
  if (two) {
    d->names.attention_norm = {kOwnNorm.gguf, "h.#.ln_attn"};
    d->names.feed_norm = {"blk.#.attn_norm", "h.#.ln_mlp"};
  } else {
    d->names.attention_norm.hf = "h.#.input_layernorm";
    d->names.feed_norm.hf = "h.#.post_attention_layernorm";
  }
}

// Rounded to bfloat16, ties to even.
float Rounded(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  return std::bit_cast<float>((bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u);
}

// The bias is added before the scores are scaled, with slopes in bfloat16, and in the reference
// (the eager attention of transformers) a second time together with the mask.
constexpr float kTimesAdded = 2;

void ReadSlopes(Decoder* d) {
  for (const float slope : AlibiSlopes(d->heads)) {
    d->slopes.push_back(kTimesAdded * Rounded(slope) / std::sqrt(static_cast<float>(d->head_dim)));
  }
}

}  // namespace

Status CompileFalcon(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "word_embeddings.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, Sizes(f), 2048);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_epsilon"}, 1e-5, &d);
  const bool grouped = f.Flag({"", "new_decoder_architecture"}, false);
  d.names.embedding.hf = "word_embeddings";
  d.names.attention_out.hf = "h.#.self_attention.dense";
  d.names.down.hf = "h.#.mlp.dense_4h_to_h";
  d.names.final_norm.hf = "ln_f";
  ReadNorms(&f, *c, grouped, &d);
  const TensorName fused = {"blk.#.attn_qkv", "h.#.self_attention.query_key_value"};
  if (!c->is_hf()) {
    FuseQueryKeyValue(&d, fused);
  } else if (grouped) {
    d.kv_heads = ReadKvHeads(&f, {"", "num_kv_heads"}, d.heads);
    InterleaveQueryKeyValue(&d, fused);
  } else if (f.Flag({"", "multi_query"}, true)) {
    d.kv_heads = 1;
    FuseQueryKeyValue(&d, fused);
  } else {
    InterleaveQueryKeyValue(&d, fused);
  }
  d.up = {{"blk.#.ffn_up", "h.#.mlp.dense_h_to_4h"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = d.feed_bias = f.Flag({"", "bias"}, false);
  d.parallel = grouped || f.Flag({"", "parallel_attn"}, true);
  d.function = ReadFunction(&f, {"", "activation"}, "gelu");
  d.tied = ReadTied(&f, *c, true);
  if (f.Flag({"", "alibi"}, false)) {
    ReadSlopes(&d);
  } else {
    d.rotation = ReadRotation(&f, "full_attention", ReadRotatedDims(&f, "", d.head_dim, 1), 10000,
                              c->trained_context);
  }
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
