// LitGPT's checkpoints (https://github.com/Lightning-AI/litgpt): one description for many families,
// and names of its own. Its first generation fused q, k and v head by head ("attn.attn"), the later
// one has all q, then k, then v ("attn.qkv").
#include <cmath>
#include <string>

#include "model/families/decoder.h"
#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr SizeNames kSizes = {.width = "n_embd",
                              .layers = "n_layer",
                              .heads = "n_head",
                              .kv_heads = "n_query_groups",
                              .head_dim = "head_size",
                              .inner = "intermediate_size",
                              .context = "block_size"};

void ReadNorms(Fields* f, Decoder* d) {
  const std::string kind = f->Text({"", "norm_class_name"}, "LayerNorm");
  d->norm = kind == "RMSNorm" ? v1::Norm::KIND_RMS : v1::Norm::KIND_LAYER;
  d->norm_bias = kind == "LayerNorm";
  if (kind != "RMSNorm" && kind != "LayerNorm") {
    f->Refuse(Unimplemented(f->Place({"", "norm_class_name"}), " is ", files::Quote(kind)));
  }
  d->epsilon = static_cast<float>(f->Real({"", "norm_eps"}, 0, 1, 1e-5));
}

void ReadFeedForward(Fields* f, Decoder* d) {
  const std::string kind = f->Text({"", "mlp_class_name"}, "GptNeoxMLP");
  const bool tanh = f->Text({"", "gelu_approximate"}, "none") == "tanh";
  d->function = tanh ? v1::FUNCTION_GELU_TANH : v1::FUNCTION_GELU_ERF;
  d->names.down = {"", "h.#.mlp.proj"};
  if (kind == "GptNeoxMLP") {
    d->up = {{"", "h.#.mlp.fc"}, AllRows(d->inner)};
    return;
  }
  d->gate = {{"", "h.#.mlp.fc_1"}, AllRows(d->inner)};
  d->up = {{"", "h.#.mlp.fc_2"}, AllRows(d->inner)};
  if (kind == "LLaMAMLP") d->function = v1::FUNCTION_SILU;
  if (kind != "LLaMAMLP" && kind != "GemmaMLP") {
    f->Refuse(Unimplemented(f->Place({"", "mlp_class_name"}), " is ", files::Quote(kind)));
  }
}

void ReadTurns(Fields* f, Compilation* c, Decoder* d) {
  const double share = f->Real({"", "rotary_percentage"}, 0, 1, 0.25);
  const auto dims = static_cast<std::uint32_t>(share * d->head_dim);
  if (dims < 2 || dims % 2 != 0) {
    f->Refuse(Invalid(f->Place({"", "rotary_percentage"}), " makes ", dims, " of ", d->head_dim,
                      " numbers turn, must be even and above 0"));
    return;
  }
  const double base = f->Real({"", "rope_base"}, 0, 1e12, 10000);
  d->rotation = ReadRotation(f, "full_attention", dims, base, c->trained_context);
  const double condensed = f->Real({"", "rope_condense_ratio"}, 0, 1e6, 1);
  for (float& frequency : d->rotation->frequencies) {
    frequency = static_cast<float>(frequency / condensed);
  }
}

// What the description can say and this graph does not have.
void RefuseOthers(Fields* f) {
  for (const char* key : {"n_expert", "sliding_window_size", "attention_logit_softcapping",
                          "final_logit_softcapping", "rope_adjustments"}) {
    const files::MetaValue* value = f->Find({"", key});
    if (value == nullptr || value->Real().value_or(1) == 0) continue;
    f->Refuse(Unimplemented(f->Place({"", key}), " is ", value->ToText(),
                            ", which cannot be compiled from this form"));
  }
  for (const char* key : {"post_attention_norm", "post_mlp_norm", "norm_qk"}) {
    if (!f->Flag({"", key}, false)) continue;
    f->Refuse(
        Unimplemented(f->Place({"", key}), ": further norms cannot be compiled from this form"));
  }
}

}  // namespace

Status CompileLitGpt(Compilation* c) {
  c->FindPrefix({"transformer.", ""}, "wte.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c, kSizes);
  RefuseOthers(&f);
  ReadNorms(&f, &d);
  ReadFeedForward(&f, &d);
  ReadTurns(&f, c, &d);
  d.names.embedding = {"", "wte"};
  d.names.attention_norm = {"", "h.#.norm_1"};
  d.names.attention_out = {"", "h.#.attn.proj"};
  d.names.feed_norm = {"", "h.#.norm_2"};
  d.names.final_norm = {"", "ln_f"};
  constexpr TensorName kFused = {"", "h.#.attn.qkv"};
  if (c->Has(kFused, ".weight")) {
    FuseQueryKeyValue(&d, kFused);
  } else {
    InterleaveQueryKeyValue(&d, {"", "h.#.attn.attn"});
  }
  const bool bias = f.Flag({"", "bias"}, true);
  d.query_bias = f.Flag({"", "attn_bias"}, bias) || bias;
  d.output_bias = bias;
  d.feed_bias = bias;
  d.head_bias = f.Flag({"", "lm_head_bias"}, false);
  d.parallel = f.Flag({"", "parallel_residual"}, true);
  d.one_norm = f.Flag({"", "shared_attention_norm"}, false);
  if (f.Flag({"", "scale_embeddings"}, false)) {
    d.embedding_scale = std::sqrt(static_cast<float>(d.width));
    d.norm_added = 1;  // Gemma's norms
  }
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
