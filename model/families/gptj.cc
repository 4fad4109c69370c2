// GPT-J, and CodeGen, which is the same with a fused matrix: a parallel residual with one norm,
// rotary positions by neighbours on the first numbers of each head, biases only in the feed-forward
// network and the head. llama.cpp has no graph of either.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {.width = "n_embd",
                              .layers = "n_layer",
                              .heads = "n_head",
                              .kv_heads = "",
                              .head_dim = "",
                              .inner = "n_inner",
                              .context = "n_positions"};

// CodeGen's matrix was cut for four processors: each part holds its rows of q, of v and of k.
constexpr std::uint32_t kCodeGenParts = 4;

void ReadCodeGenQueryKeyValue(Fields* f, Decoder* d) {
  constexpr TensorName kFused = {"", "h.#.attn.qkv_proj"};
  if (d->width % kCodeGenParts != 0) {
    f->Refuse(Invalid("the width ", d->width, " is no multiple of ", kCodeGenParts,
                      ", into which the matrix of q, v and k is cut"));
  }
  const std::uint32_t run = d->width / kCodeGenParts;
  d->query = {kFused, {0, d->width, 3 * d->width, run, 3 * run}};
  d->value = {kFused, {run, d->width, 3 * d->width, run, 3 * run}};
  d->key = {kFused, {2 * run, d->width, 3 * d->width, run, 3 * run}};
}

Status Compile(Compilation* c, bool is_codegen) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  ReadLayerNorm(&f, {"", "layer_norm_epsilon"}, 1e-5, &d);
  d.names.embedding = {"", "wte"};
  d.names.attention_norm = {"", "h.#.ln_1"};
  d.names.attention_out = {"", "h.#.attn.out_proj"};
  d.names.down = {"", "h.#.mlp.fc_out"};
  d.names.final_norm = {"", "ln_f"};
  if (is_codegen) {
    ReadCodeGenQueryKeyValue(&f, &d);
  } else {
    SplitQueryKeyValue(&d, "h.#.attn.q_proj", "h.#.attn.k_proj", "h.#.attn.v_proj");
  }
  d.up = {{"", "h.#.mlp.fc_in"}, AllRows(d.inner)};
  d.feed_bias = true;
  d.head_bias = true;
  d.function = ReadFunction(&f, {"", "activation_function"}, "gelu_new");
  d.parallel = true;
  d.one_norm = true;
  d.tied = ReadTied(&f, *c, false);
  const std::uint32_t dims = f.Count({"", "rotary_dim"}, 2, d.head_dim, d.head_dim);
  if (dims % 2 != 0) f.Refuse(Invalid(f.Place({"", "rotary_dim"}), " must be even"));
  d.rope_style = v1::Rope::STYLE_PAIR;
  d.rotation = ReadRotation(&f, "full_attention", dims, 10000, c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace

Status CompileGptJ(Compilation* c) { return Compile(c, false); }
Status CompileCodeGen(Compilation* c) { return Compile(c, true); }

}  // namespace bramble::model::families
