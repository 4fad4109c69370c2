// Granite 3: the Llama graph with four factors: of the embeddings, of the scores (in place of the
// root of the head's size), of what each branch gives, and of the logits.
#include "model/families/decoder.h"
#include "model/families/table.h"

namespace bramble::model::families {
namespace {

constexpr double kMostFactor = 1e6;

float Factor(Fields* f, Key key, double if_missing) {
  return static_cast<float>(f->Real(key, 0, kMostFactor, if_missing));
}

}  // namespace

Status CompileGranite(Compilation* c) {
  c->FindPrefix({"model.", ""}, "embed_tokens.weight");
  Fields f(c->files, FamilyName(c->files), "");
  Decoder d = ReadSizes(&f, c);
  ReadRmsNorm(&f, 1e-6, &d);
  SplitQueryKeyValue(&d);
  GateAndUp(&d);
  d.query_bias = d.output_bias = f.Flag({"", "attention_bias"}, false);
  d.feed_bias = f.Flag({"", "mlp_bias"}, false);
  d.function = ReadFunction(&f, {"", "hidden_act"}, "silu");
  d.embedding_scale = Factor(&f, {"embedding_scale", "embedding_multiplier"}, 1);
  d.scale = Factor(&f, {"attention.scale", "attention_multiplier"}, 1);
  d.branch_scale = Factor(&f, {"residual_scale", "residual_multiplier"}, 1);
  d.logit_scale = 1 / Factor(&f, {"logit_scale", "logits_scaling"}, 1);
  d.tied = ReadTied(&f, *c, false);
  d.rope_style = c->is_hf() ? v1::Rope::STYLE_HALF : v1::Rope::STYLE_PAIR;
  d.rotation = ReadRotation(&f, "full_attention", ReadRotatedDims(&f, "", d.head_dim, 1), 10000,
                            c->trained_context);
  return CompileDecoder(c, &f, d);
}

}  // namespace bramble::model::families
