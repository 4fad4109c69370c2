// GPT-Neo: GPT-2's graph with plain matrices, scores that are not scaled, and layers that see only
// a window between those that see everything. llama.cpp has no graph of it.
#include <string>
#include <vector>

#include "model/families/decoder.h"
#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {
    .layers = "num_layers", .heads = "num_heads", .kv_heads = "", .head_dim = ""};

// `attention_layers`: "global" or "local" for each layer; without it every second one is local.
void ReadWindows(Fields* f, Decoder* d) {
  constexpr Key kKinds = {"", "attention_layers"};
  const std::uint32_t window = f->Count({"", "window_size"}, 1, kMostPositions, 256);
  d->windows.assign(d->layers, 0);
  const files::MetaValue* list = f->Find(kKinds);
  if (list == nullptr) {
    for (std::uint32_t i = 1; i < d->layers; i += 2) d->windows[i] = window;
    return;
  }
  const auto kinds = list->Texts(kMostLayers);
  if (!kinds.ok() || kinds->size() != d->layers) {
    f->Refuse(Invalid(f->Place(kKinds), " must be a list of ", d->layers, " texts"));
    return;
  }
  for (std::uint32_t i = 0; i < d->layers; ++i) {
    if ((*kinds)[i] != "global" && (*kinds)[i] != "local") {
      f->Refuse(
          Unimplemented(f->Place(kKinds), ": a layer of the kind ", files::Quote((*kinds)[i])));
    }
    if ((*kinds)[i] == "local") d->windows[i] = window;
  }
}

}  // namespace

Status CompileGptNeo(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  ReadLayerNorm(&f, {"", "layer_norm_epsilon"}, 1e-5, &d);
  d.names.embedding = {"", "wte"};
  d.names.positions = {"", "wpe"};
  d.names.attention_norm = {"", "h.#.ln_1"};
  d.names.attention_out = {"", "h.#.attn.attention.out_proj"};
  d.names.feed_norm = {"", "h.#.ln_2"};
  d.names.down = {"", "h.#.mlp.c_proj"};
  d.names.final_norm = {"", "ln_f"};
  SplitQueryKeyValue(&d, "h.#.attn.attention.q_proj", "h.#.attn.attention.k_proj",
                     "h.#.attn.attention.v_proj");
  d.up = {{"", "h.#.mlp.c_fc"}, AllRows(d.inner)};
  d.position_offset = 0;
  d.output_bias = true;
  d.feed_bias = true;
  d.scale = 1;
  d.function = ReadFunction(&f, {"", "activation_function"}, "gelu_new");
  d.tied = ReadTied(&f, *c, true);
  ReadWindows(&f, &d);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
