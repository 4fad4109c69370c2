// BLOOM: ALiBi in place of positions, a norm behind the embedding, a matrix for q, k and v that is
// fused head by head in Hugging Face files and in thirds in GGUF files.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

// ALiBi sets no limit; this is what the published models were trained with.
constexpr std::uint32_t kTrainedPositions = 2048;

SizeNames Sizes(const Fields& f) {
  SizeNames names = {
      .layers = "n_layer", .heads = "n_head", .kv_heads = "", .head_dim = "", .inner = ""};
  // The names of the published files.
  if (!f.Has({"", names.width})) names.width = "n_embed";
  if (!f.Has({"", names.layers})) names.layers = "num_hidden_layers";
  if (!f.Has({"", names.heads})) names.heads = "num_attention_heads";
  names.context = "seq_length";
  return names;
}

}  // namespace

Status CompileBloom(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "word_embeddings.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, Sizes(f), kTrainedPositions);
  ReadLayerNorm(&f, {"attention.layer_norm_epsilon", "layer_norm_epsilon"}, 1e-5, &d);
  d.names.embedding = {"token_embd", "word_embeddings"};
  d.names.embedding_norm = {"token_embd_norm", "word_embeddings_layernorm"};
  d.names.attention_norm.hf = "h.#.input_layernorm";
  d.names.attention_out.hf = "h.#.self_attention.dense";
  d.names.feed_norm.hf = "h.#.post_attention_layernorm";
  d.names.down.hf = "h.#.mlp.dense_4h_to_h";
  d.names.final_norm.hf = "ln_f";
  const TensorName fused = {"blk.#.attn_qkv", "h.#.self_attention.query_key_value"};
  if (c->is_hf()) {
    InterleaveQueryKeyValue(&d, fused);
  } else {
    FuseQueryKeyValue(&d, fused);
  }
  d.up = {{"blk.#.ffn_up", "h.#.mlp.dense_h_to_4h"}, AllRows(d.inner)};
  d.query_bias = d.output_bias = d.feed_bias = true;
  d.embedding_norm = true;
  d.slopes = AlibiSlopes(d.heads);
  d.normed_residual = f.Flag({"", "apply_residual_connection_post_layernorm"}, false);
  d.function = v1::FUNCTION_GELU_TANH;
  d.tied = ReadTied(&f, *c, true);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
