#include "model/families/compilation.h"

#include "model/files/quote.h"
#include "model/quantized/table.h"

namespace bramble::model::families {

void Compilation::FindPrefix(std::initializer_list<std::string_view> prefixes,
                             std::string_view probe) {
  hf_prefix = *prefixes.begin();
  for (const std::string_view prefix : prefixes) {
    if (weights.Has(std::string(prefix) + std::string(probe))) {
      hf_prefix = prefix;
      return;
    }
  }
}

std::string Compilation::Name(TensorName name, std::string_view suffix, std::uint32_t layer) const {
  std::string full = is_hf() ? hf_prefix : "";
  for (const char c : is_hf() ? name.hf : name.gguf) {
    if (c == '#') {
      full += std::to_string(layer);
    } else {
      full += c;
    }
  }
  return full + std::string(suffix);
}

WeightRef Compilation::Matrix(TensorName name, std::uint32_t layer, std::uint32_t outputs,
                              std::uint32_t inputs) {
  return weights.Matrix(Name(name, ".weight", layer), AllRows(outputs), inputs);
}

WeightRef Compilation::Vector(TensorName name, std::string_view suffix, std::uint32_t layer,
                              std::uint32_t size, float added) {
  return weights.Vector(Name(name, suffix, layer), AllRows(size), added);
}

std::optional<WeightRef> Compilation::Bias(TensorName name, std::uint32_t layer, std::uint32_t size,
                                           bool wanted) {
  if (!is_hf()) wanted = Has(name, ".bias", layer);
  if (!wanted) return {};
  return Vector(name, ".bias", layer, size);
}

Status ChooseContext(Compilation* c, std::uint32_t most) {
  const std::uint32_t asked = c->options.context_length;
  if (asked > most) {
    return Invalid("a context of ", asked, " positions is asked for, and the model can have ",
                   most);
  }
  c->context_length = asked == 0 ? most : asked;
  return {};
}

v1::Function ReadFunction(Fields* fields, Key key, std::string_view if_missing) {
  // The names of transformers (src/transformers/activations.py).
  struct Row {
    std::string_view name;
    v1::Function function;
  };
  static constexpr Row kRows[] = {
      {"silu", v1::FUNCTION_SILU},
      {"swish", v1::FUNCTION_SILU},
      {"gelu", v1::FUNCTION_GELU_ERF},
      {"gelu_python", v1::FUNCTION_GELU_ERF},
      {"gelu_new", v1::FUNCTION_GELU_TANH},
      {"gelu_fast", v1::FUNCTION_GELU_TANH},
      {"gelu_pytorch_tanh", v1::FUNCTION_GELU_TANH},
      {"gelu_accurate", v1::FUNCTION_GELU_TANH},
      {"quick_gelu", v1::FUNCTION_GELU_QUICK},
      {"relu", v1::FUNCTION_RELU},
      {"relu2", v1::FUNCTION_RELU_SQUARED},
      {"relu6", v1::FUNCTION_RELU6},
      {"tanh", v1::FUNCTION_TANH},
      {"sigmoid", v1::FUNCTION_SIGMOID},
  };
  const std::string name = fields->Text(key, if_missing);
  for (const Row& row : kRows) {
    if (row.name == name) return row.function;
  }
  fields->Refuse(
      Unimplemented(fields->Place(key), ": the activation ", files::Quote(name), " is not known"));
  return v1::FUNCTION_SILU;
}

std::vector<bool> ReadSlidingLayers(Fields* fields, std::uint32_t layers) {
  constexpr Key kTypes = {"", "layer_types"};
  const files::MetaValue* list = fields->Find(kTypes);
  if (list == nullptr) return {};
  std::vector<bool> sliding;
  const auto names = list->Texts(kMostLayers);
  for (const std::string_view name : names.ok() ? *names : std::vector<std::string_view>{}) {
    if (name != "sliding_attention" && name != "full_attention") {
      fields->Refuse(
          Unimplemented(fields->Place(kTypes), ": a layer of the kind ", files::Quote(name)));
    }
    sliding.push_back(name == "sliding_attention");
  }
  if (sliding.size() != layers) {
    fields->Refuse(Invalid(fields->Place(kTypes), " must be a list of ", layers, " texts"));
  }
  sliding.resize(layers);
  return sliding;
}

WeightRef Compilation::Head(TensorName name, bool tied, WeightRef table, std::uint32_t width) {
  if (tied) return table;
  return weights.Matrix(HeadName(name), AllRows(vocabulary_size), width);
}

std::string Compilation::HeadName(TensorName name) const {
  return std::string(is_hf() ? name.hf : name.gguf).append(".weight");
}

Status ReadVocabulary(Fields* fields, TensorName embedding, std::uint32_t width, Compilation* c) {
  constexpr Key kSize = {"vocab_size", "vocab_size"};
  constexpr std::uint32_t kMost = 1u << 24;
  const std::string table = c->Name(embedding, ".weight");
  c->vocabulary_size = c->weights.CountRows(table, width);
  RETURN_IF_ERROR(c->weights.status());
  const std::uint32_t said = fields->Count(kSize, 1, kMost, c->vocabulary_size);
  RETURN_IF_ERROR(fields->status());
  if (said == c->vocabulary_size) return {};
  return Invalid(fields->Place(kSize), " is ", said, ", and tensor ", files::Quote(table), " has ",
                 c->vocabulary_size, " rows");
}

Result<WeightRef> BeginDecoder(Fields* fields, const Beginning& beginning, Compilation* c) {
  RETURN_IF_ERROR(fields->status());
  RETURN_IF_ERROR(ReadVocabulary(fields, beginning.embedding, beginning.width, c));
  c->layers = beginning.layers;
  const std::uint32_t most = beginning.most_positions;
  RETURN_IF_ERROR(ChooseContext(c, most > 0 ? most : c->trained_context));
  c->builder.BeginBlock("embed");
  return c->Matrix(beginning.embedding, 0, c->vocabulary_size, beginning.width);
}

void RefuseStrangers(Fields* fields, const files::ModelFiles& files) {
  for (const Key key : {Key{"expert_count", "num_local_experts"}, Key{"", "num_experts"}}) {
    if (fields->Count(key, 0, kMostWidth, 0) == 0) continue;
    fields->Refuse(
        Unimplemented(fields->Place(key), ": a mixture of experts is not of this family"));
  }
  RefuseQuantized(fields, files);
}

void RefuseQuantized(Fields* fields, const files::ModelFiles& files) {
  const auto* method = files::FindValue(files.metadata, "quantization_config.quant_method");
  if (method == nullptr) return;
  std::string known;
  for (const std::string_view name : quantized::Methods()) {
    if (method->Text() == name) return;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fields->Refuse(Unimplemented("config.json: weights quantized by ", method->ToText(),
                               " cannot be read (known: ", known, ")"));
}

}  // namespace bramble::model::families
