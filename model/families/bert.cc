// Encoders of BERT's shape: learned positions, attention in both directions, layer norms behind
// each branch. The names and a few attributes tell them apart.
#include <cmath>
#include <string>

#include "model/families/pooling.h"
#include "model/families/table.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

// The tensors of a layer, and keys of config.json.
struct Names {
  TensorName query, key, value, attention_out, attention_norm, up, down, feed_norm;
  Key width, layers, heads, inner, function, epsilon;
};

constexpr Names kBertNames = {
    {"", "encoder.layer.#.attention.self.query"},
    {"", "encoder.layer.#.attention.self.key"},
    {"", "encoder.layer.#.attention.self.value"},
    {"", "encoder.layer.#.attention.output.dense"},
    {"", "encoder.layer.#.attention.output.LayerNorm"},
    {"", "encoder.layer.#.intermediate.dense"},
    {"", "encoder.layer.#.output.dense"},
    {"", "encoder.layer.#.output.LayerNorm"},
    {"", "hidden_size"},
    {"", "num_hidden_layers"},
    {"", "num_attention_heads"},
    {"", "intermediate_size"},
    {"", "hidden_act"},
    {"", "layer_norm_eps"},
};
constexpr Names kDistilBertNames = {
    {"", "transformer.layer.#.attention.q_lin"},
    {"", "transformer.layer.#.attention.k_lin"},
    {"", "transformer.layer.#.attention.v_lin"},
    {"", "transformer.layer.#.attention.out_lin"},
    {"", "transformer.layer.#.sa_layer_norm"},
    {"", "transformer.layer.#.ffn.lin1"},
    {"", "transformer.layer.#.ffn.lin2"},
    {"", "transformer.layer.#.output_layer_norm"},
    {"", "dim"},
    {"", "n_layers"},
    {"", "n_heads"},
    {"", "hidden_dim"},
    {"", "activation"},
    {"", ""},
};

constexpr TensorName kTokens = {"", "embeddings.word_embeddings"};
constexpr TensorName kPositions = {"", "embeddings.position_embeddings"};
constexpr TensorName kTypes = {"", "embeddings.token_type_embeddings"};
constexpr TensorName kEmbeddingNorm = {"", "embeddings.LayerNorm"};
constexpr TensorName kProjection = {"", "embeddings_project"};
constexpr TensorName kPooler = {"", "pooler.dense"};

// What the model's own head is.
enum class Head : std::uint8_t { kPooled, kDense, kRectified };

struct Variant {
  const Names& names;
  const char* prefix;                     // of a model with a head
  bool positions_behind_padding = false;  // position p is row p + padding id + 1
  bool types = true;
  double epsilon = 1e-12;
  Head head = Head::kPooled;
  v1::Function head_function = v1::FUNCTION_TANH;
};

struct Config {
  std::uint32_t width = 0;
  std::uint32_t embedding_width = 0;
  std::uint32_t layers = 0;
  std::uint32_t heads = 0;
  std::uint32_t inner = 0;
  std::uint32_t positions = 0;  // rows of the table
  std::uint32_t offset = 0;     // of position 0 in it
  std::uint32_t types = 0;
  float epsilon = 0;
  v1::Function function = v1::FUNCTION_GELU_ERF;
};

Config ReadConfig(Fields* f, const Variant& variant, Compilation* c) {
  // The defaults are those of transformers' BertConfig and its kin.
  const Names& names = variant.names;
  Config config;
  RefuseStrangers(f, c->files);
  config.width = f->CountOrHfDefault(names.width, 1, kMostWidth, 768);
  config.embedding_width = f->Count({"", "embedding_size"}, 1, kMostWidth, config.width);
  config.layers = f->CountOrHfDefault(names.layers, 1, kMostLayers, 12);
  config.heads = f->CountOrHfDefault(names.heads, 1, kMostHeads, 12);
  config.inner = f->CountOrHfDefault(names.inner, 1, kMostWidth, 3072);
  config.positions = f->CountOrHfDefault({"", "max_position_embeddings"}, 1, kMostPositions, 512);
  config.epsilon = static_cast<float>(f->Real(names.epsilon, 0, 1, variant.epsilon));
  config.function = ReadFunction(f, names.function, "gelu");
  config.types = variant.types ? f->Count({"", "type_vocab_size"}, 0, 1024, 2) : 0;
  if (variant.positions_behind_padding) {
    config.offset = f->Count({"", "pad_token_id"}, 0, kMostPositions / 2, 1) + 1;
  }
  if (config.width % config.heads != 0) {
    f->Refuse(
        Invalid("the width ", config.width, " is no multiple of the ", config.heads, " heads"));
  }
  if (config.positions <= config.offset) {
    f->Refuse(
        Invalid(config.positions, " positions leave none behind the padding's ", config.offset));
    config.positions = config.offset + 1;
  }
  if (f->Text({"", "position_embedding_type"}, "absolute") != "absolute") {
    f->Refuse(Unimplemented(f->Place({"", "position_embedding_type"}),
                            ": only absolute positions are run"));
  }
  if (f->Flag({"", "is_decoder"}, false)) {
    f->Refuse(Unimplemented(f->Place({"", "is_decoder"}), ": this family is run as an encoder"));
  }
  c->trained_context = config.positions - config.offset;
  return config;
}

Value Linear(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
             std::uint32_t outputs) {
  return c->builder.Linear(name, x, c->Matrix(tensor, layer, outputs, x.width),
                           c->Vector(tensor, ".bias", layer, outputs));
}

Value Norm(Compilation* c, std::string_view name, Value x, TensorName tensor, std::uint32_t layer,
           float epsilon) {
  return c->builder.LayerNorm(name, x, epsilon, c->Vector(tensor, ".weight", layer, x.width),
                              c->Vector(tensor, ".bias", layer, x.width));
}

void AddEmbeddings(Compilation* c, const Config& config) {
  ProgramBuilder& b = c->builder;
  const std::uint32_t width = config.embedding_width;
  b.BeginBlock("embed");
  Value x =
      b.Embed("tokens", c->Matrix(kTokens, 0, c->vocabulary_size, width), v1::Embed::SOURCE_ID);
  if (config.types > 0) {
    const WeightRef table = c->Matrix(kTypes, 0, config.types, width);
    x = b.Add("types_add", x,
              b.EmbedRows("types", table, v1::Embed::SOURCE_TYPE, v1::ROW_KIND_TOKEN));
  }
  const WeightRef positions = c->Matrix(kPositions, 0, config.positions, width);
  x = b.Add("positions_add", x,
            b.EmbedRows("positions", positions, v1::Embed::SOURCE_POSITION, v1::ROW_KIND_TOKEN,
                        config.offset));
  x = Norm(c, "embed_norm", x, kEmbeddingNorm, 0, config.epsilon);
  if (width != config.width) x = Linear(c, "embed_project", x, kProjection, 0, config.width);
  b.Output(x);
}

void AddLayer(Compilation* c, const Config& config, const Names& names, std::uint32_t i) {
  ProgramBuilder& b = c->builder;
  b.BeginBlock("layer." + std::to_string(i));
  const Value x = b.Input();
  const Value q = Linear(c, "attn_q", x, names.query, i, config.width);
  const Value k = Linear(c, "attn_k", x, names.key, i, config.width);
  const Value v = Linear(c, "attn_v", x, names.value, i, config.width);
  AttentionSpec spec;
  spec.heads = spec.kv_heads = config.heads;
  spec.key_dim = spec.value_dim = config.width / config.heads;
  spec.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(spec.key_dim)));
  spec.sees = v1::Attention::SEES_BIDIRECTIONAL;
  const Value a = b.Attention("attention", q, k, v, spec);
  const Value out =
      b.LinearOfHeads("attn_out", a, c->Matrix(names.attention_out, i, config.width, config.width),
                      c->Vector(names.attention_out, ".bias", i, config.width), config.heads);
  const Value h =
      Norm(c, "attn_norm", b.Add("attn_add", x, out), names.attention_norm, i, config.epsilon);
  const Value up = Linear(c, "ffn_up", h, names.up, i, config.inner);
  const Value f = b.Activate("ffn_act", up, config.function);
  const Value down = Linear(c, "ffn_down", f, names.down, i, config.width);
  b.Output(Norm(c, "ffn_norm", b.Add("ffn_add", h, down), names.feed_norm, i, config.epsilon));
}

// A matrix with its bias whose name has no prefix; as many outputs as the file has.
Value HeadLinear(Compilation* c, std::string_view name, Value x, const std::string& tensor) {
  const std::uint32_t outputs = c->weights.CountRows(tensor + ".weight", x.width);
  return c->builder.Linear(name, x,
                           c->weights.Matrix(tensor + ".weight", AllRows(outputs), x.width),
                           c->weights.Vector(tensor + ".bias", AllRows(outputs)));
}

// What the checkpoint has behind the encoder: a pooler, scores of classes, both, or neither.
void AddOwnHead(Compilation* c, const Variant& variant, Value x) {
  ProgramBuilder& b = c->builder;
  const bool pooler = c->Has(kPooler, ".weight");
  const char* first = variant.head == Head::kDense ? "classifier.dense" : "pre_classifier";
  const char* last = variant.head == Head::kDense ? "classifier.out_proj" : "classifier";
  const bool dense =
      variant.head != Head::kPooled && c->weights.Has(std::string(first) + ".weight");
  if (!pooler && !dense) return;
  Value y = b.GatherOfSequence("first", x, v1::Gather::KIND_FIRST);
  if (dense) {
    y = HeadLinear(c, "head_dense", y, first);
    y = HeadLinear(c, "classes", b.Activate("head_act", y, variant.head_function), last);
  } else {
    y = Linear(c, "pooler", y, kPooler, 0, x.width);
    y = b.Activate("pooler_act", y, v1::FUNCTION_TANH);
    if (c->weights.Has("classifier.weight")) y = HeadLinear(c, "classes", y, "classifier");
  }
  b.Answer("head", y, v1::RESULT_KIND_HEAD);
}

Status Compile(Compilation* c, const Variant& variant) {
  if (!c->is_hf()) return Unimplemented("encoders are read from Hugging Face folders only");
  c->FindPrefix({variant.prefix, ""}, "embeddings.word_embeddings.weight");
  Fields fields(c->files, FamilyName(c->files), "");
  const Config config = ReadConfig(&fields, variant, c);
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(ReadVocabulary(&fields, kTokens, config.embedding_width, c));
  c->layers = config.layers;
  RETURN_IF_ERROR(ChooseContext(c, c->trained_context));
  ASSIGN_OR_RETURN(const Pooling pooling, ReadPooling(c->files));

  AddEmbeddings(c, config);
  for (std::uint32_t i = 0; i < config.layers && c->weights.status().ok(); ++i) {
    AddLayer(c, config, variant.names, i);
  }
  ProgramBuilder& b = c->builder;
  b.BeginBlock("head");
  const Value x = b.Input();
  b.Answer("hidden", b.GatherOutputs("outputs", x), v1::RESULT_KIND_HIDDEN);
  b.Answer("embedding", AddPooling(&b, pooling, x), v1::RESULT_KIND_EMBEDDING);
  AddOwnHead(c, variant, x);
  return c->weights.status();
}

}  // namespace

Status CompileBert(Compilation* c) { return Compile(c, {kBertNames, "bert."}); }

Status CompileRoberta(Compilation* c) {
  return Compile(c, {kBertNames, "roberta.", true, true, 1e-12, Head::kDense});
}

Status CompileDistilBert(Compilation* c) {
  return Compile(c, {kDistilBertNames, "distilbert.", false, false, 1e-12, Head::kRectified,
                     v1::FUNCTION_RELU});
}

Status CompileElectra(Compilation* c) {
  return Compile(c,
                 {kBertNames, "electra.", false, true, 1e-12, Head::kDense, v1::FUNCTION_GELU_ERF});
}

}  // namespace bramble::model::families
