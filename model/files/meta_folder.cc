// Models as Meta (https://github.com/meta-llama/llama-models) and Mistral
// (https://github.com/mistralai/mistral-inference) give them away. What params.json leaves out
// follows from the tensors or from the generation of the model.
#include "model/files/meta_folder.h"

#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "model/files/json.h"
#include "model/files/quote.h"
#include "model/files/shards.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostParamsBytes = std::size_t{1} << 20;
constexpr std::size_t kMostParams = 4096;
constexpr char kParamsName[] = "params.json";
constexpr std::string_view kLayers = "layers.";

struct Place {
  const char* name;
  ReadFileFn read;
  const char* container;
};
constexpr Place kPlaces[] = {
    {"consolidated.safetensors", ReadSafetensorsFile, "safetensors of params.json"},
    {"consolidated.00.pth", ReadPytorchFile, "PyTorch of params.json"},
    {"consolidated.pth", ReadPytorchFile, "PyTorch of params.json"},
};

// Meta's names and Hugging Face's, without ".weight"; of a layer what follows its number.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"tok_embeddings", "model.embed_tokens"},
    {"norm", "model.norm"},
    {"output", "lm_head"},
};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attention.wq", "self_attn.q_proj"},     {"attention.wk", "self_attn.k_proj"},
    {"attention.wv", "self_attn.v_proj"},     {"attention.wo", "self_attn.o_proj"},
    {"feed_forward.w1", "mlp.gate_proj"},     {"feed_forward.w2", "mlp.down_proj"},
    {"feed_forward.w3", "mlp.up_proj"},       {"attention_norm", "input_layernorm"},
    {"ffn_norm", "post_attention_layernorm"},
};

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// params.json's keys and config.json's.
constexpr std::pair<const char*, const char*> kKeys[] = {
    {"dim", "hidden_size"},
    {"n_layers", "num_hidden_layers"},
    {"n_heads", "num_attention_heads"},
    {"n_kv_heads", "num_key_value_heads"},
    {"head_dim", "head_dim"},
    {"hidden_dim", "intermediate_size"},
    {"norm_eps", "rms_norm_eps"},
    {"rope_theta", "rope_theta"},
    {"sliding_window", "sliding_window"},
    {"max_seq_len", "max_position_embeddings"},
};

void Set(const char* key, MetaValue value, Metadata* config) {
  config->emplace(key, std::move(value));
}

// Positions that a model was made for, by what tells the generations apart.
std::int64_t ContextOf(const Metadata& params, bool scaled) {
  const MetaValue* theta = FindValue(params, "rope_theta");
  const MetaValue* epsilon = FindValue(params, "norm_eps");
  if (scaled) return 131072;                                                 // Llama 3.1 and later
  if (FindValue(params, "sliding_window") != nullptr) return 32768;          // Mistral 7B 0.1
  if (theta != nullptr && theta->Real().value_or(0) > 600000) return 32768;  // Mistral 7B 0.2, 0.3
  if (theta != nullptr) return 8192;                                         // Llama 3
  return epsilon != nullptr && epsilon->Real().value_or(0) < 5e-6 ? 2048 : 4096;  // Llama 1, 2
}

// What a config.json would say.
Metadata ConfigOf(const Metadata& params, const TensorIndex& tensors) {
  Metadata config;
  const MetaValue* scaled_rope = FindValue(params, "use_scaled_rope");
  const bool scaled = scaled_rope != nullptr && scaled_rope->Flag().value_or(false);
  for (const auto& [from, to] : kKeys) {
    if (const MetaValue* value = FindValue(params, from)) Set(to, *value, &config);
  }
  const bool window = FindValue(params, "sliding_window") != nullptr;
  Set("model_type", {std::string(window ? "mistral" : "llama")}, &config);
  Set("max_position_embeddings", {ContextOf(params, scaled)}, &config);
  Set("rms_norm_eps", {1e-5}, &config);
  Set("rope_interleave", {true}, &config);  // neighbours turn together
  Set("tie_word_embeddings", {tensors.Find("lm_head.weight") == nullptr}, &config);
  const Tensor* gate = tensors.Find("model.layers.0.mlp.gate_proj.weight");
  if (gate != nullptr && gate->shape.size() == 2) {
    Set("intermediate_size", {static_cast<std::int64_t>(gate->shape[0])}, &config);
  }
  if (scaled) {  // the factors of llama-models' code; Llama 3.2's small models have 32
    const bool small = tensors.Find("lm_head.weight") == nullptr;
    const MetaValue* factor = FindValue(params, "rope_scaling_factor");
    Set("rope_scaling.rope_type", {std::string("llama3")}, &config);
    Set("rope_scaling.factor", factor != nullptr ? *factor : MetaValue{small ? 32.0 : 8.0},
        &config);
    Set("rope_scaling.low_freq_factor", {1.0}, &config);
    Set("rope_scaling.high_freq_factor", {4.0}, &config);
    Set("rope_scaling.original_max_position_embeddings", {std::int64_t{8192}}, &config);
  }
  return config;
}

Status CheckParams(const Metadata& params) {
  for (const char* key : {"moe.num_experts", "moe.num_experts_per_tok",
                          "quantization.qformat_weight", "vision_encoder.hidden_size"}) {
    if (FindValue(params, key) != nullptr) {
      return Unimplemented("'", key, "': only dense models of text can be read in this form");
    }
  }
  return {};
}

}  // namespace

std::string HfNameOfMeta(const std::string& name) {
  constexpr std::string_view kWeight = ".weight";
  std::string_view base = name;
  std::string_view suffix;
  if (base.ends_with(kWeight)) {
    base.remove_suffix(kWeight.size());
    suffix = kWeight;
  }
  for (const auto& [from, to] : kNames) {
    if (base == from) return std::string(to).append(suffix);
  }
  const std::size_t dot = base.find('.', kLayers.size());
  if (!base.starts_with(kLayers) || dot == std::string_view::npos) return name;
  for (const auto& [from, to] : kLayerNames) {
    if (base.substr(dot + 1) != from) continue;
    return std::string("model.").append(base.substr(0, dot + 1)).append(to).append(suffix);
  }
  return name;
}

bool IsMetaFolder(const std::string& folder) { return Exists(folder + "/" + kParamsName); }

Result<ModelFiles> OpenMetaFolder(const std::string& folder) {
  const std::string path = folder + "/" + kParamsName;
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostParamsBytes));
  auto params = ReadJson(text, kMostParams);
  if (!params.ok()) return params.status().WithContext(QuotePath(path));
  RETURN_IF_ERROR(CheckParams(*params).WithContext(QuotePath(path)));
  if (Exists(folder + "/consolidated.01.pth")) {
    return Unimplemented(
        QuotePath(folder),
        ": the model is cut for several processors (consolidated.01.pth); only one "
        "consolidated file can be read");
  }
  ModelFiles read;
  for (const Place& place : kPlaces) {
    if (!Exists(folder + "/" + place.name)) continue;
    ASSIGN_OR_RETURN(auto tensors, place.read(folder + "/" + place.name, &read));
    ModelFiles files;
    files.dialect = Dialect::kHuggingFace;
    files.path = folder;
    files.container = place.container;
    files.maps = std::move(read.maps);
    files.owned = std::move(read.owned);
    for (Tensor& tensor : tensors) {
      if (tensor.name == "rope.freqs") continue;  // they follow from the description
      tensor.name = HfNameOfMeta(tensor.name);
      RETURN_IF_ERROR(files.tensors.Add(std::move(tensor)));
    }
    RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(folder)));
    files.metadata = ConfigOf(*params, files.tensors);
    return files;
  }
  return NotFound(QuotePath(folder), ": there is no ", kPlaces[0].name, " or ", kPlaces[1].name,
                  " beside ", kParamsName);
}

}  // namespace bramble::model::files
