// GPT-2's graph as nanoGPT and minGPT train it (https://github.com/karpathy/nanoGPT,
// https://github.com/karpathy/minGPT): plain matrices, in nanoGPT with or without biases. A
// checkpoint of nanoGPT says what it is (model/files/hf_folder.cc); one of minGPT needs a
// config.json beside it.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {.width = "n_embd",
                              .layers = "n_layer",
                              .heads = "n_head",
                              .kv_heads = "",
                              .head_dim = "",
                              .inner = "",
                              .context = "block_size"};

Status Compile(Compilation* c, std::string_view function, bool tied) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  ReadLayerNorm(&f, {"", "layer_norm_epsilon"}, 1e-5, &d);
  const bool bias = f.Flag({"", "bias"}, true);
  d.norm_bias = bias;
  d.query_bias = bias;
  d.output_bias = bias;
  d.feed_bias = bias;
  d.names.embedding = {"", "wte"};
  d.names.positions = {"", "wpe"};
  d.names.attention_norm = {"", "h.#.ln_1"};
  d.names.attention_out = {"", "h.#.attn.c_proj"};
  d.names.feed_norm = {"", "h.#.ln_2"};
  d.names.down = {"", "h.#.mlp.c_proj"};
  d.names.final_norm = {"", "ln_f"};
  FuseQueryKeyValue(&d, {"", "h.#.attn.c_attn"});
  d.up = {{"", "h.#.mlp.c_fc"}, AllRows(d.inner)};
  d.position_offset = 0;
  d.function = ReadFunction(&f, {"", "activation_function"}, function);
  d.tied = ReadTied(&f, *c, tied);
  return CompileDecoder(c, &f, d);
}

}  // namespace

Status CompileNanoGpt(Compilation* c) { return Compile(c, "gelu", true); }
Status CompileMinGpt(Compilation* c) { return Compile(c, "gelu_new", false); }

}  // namespace bramble::model::families
