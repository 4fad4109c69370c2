// The same weights in other containers: stored models, written as other systems' users have them,
// give the reference's logits.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "model/files/table.h"
#include "tests/model/files/file_helpers.h"
#include "tests/model/files/pytorch_helpers.h"
#include "tests/model_golden/comparison_helpers.h"

namespace bramble {
namespace {

namespace fs = std::filesystem;
using model::files::ModelFiles;
using model::files::PickleText;
using model::files::TemporaryFolder;
using model::files::Tensor;

fs::path Golden(const std::string& name) {
  return fs::path(BRAMBLE_SOURCE_DIR) / "tests/golden/models" / name;
}

// A tensor by another name, or of another content.
struct Renamed {
  std::string name;
  std::string type;
  std::vector<std::uint64_t> shape;
  std::string bytes;
};

Renamed Copy(const ModelFiles& files, const std::string& from, const std::string& to) {
  const Tensor* tensor = files.tensors.Find(from);
  EXPECT_NE(tensor, nullptr) << from;
  return {to, std::string(tensor->type), tensor->shape,
          std::string(reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size())};
}

// Rows in another order: row i of the result is row from(i).
Renamed Reordered(Renamed tensor, const std::function<std::size_t(std::size_t)>& from) {
  const std::string old = tensor.bytes;
  const std::size_t row = old.size() / tensor.shape[0];
  for (std::size_t i = 0; i < tensor.shape[0]; ++i) {
    tensor.bytes.replace(i * row, row, old, from(i) * row, row);
  }
  return tensor;
}

Renamed Transposed(Renamed tensor) {
  const std::string old = tensor.bytes;
  const std::size_t rows = tensor.shape[0];
  const std::size_t columns = tensor.shape[1];
  const std::size_t element = old.size() / rows / columns;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      tensor.bytes.replace((c * rows + r) * element, element, old, (r * columns + c) * element,
                           element);
    }
  }
  std::swap(tensor.shape[0], tensor.shape[1]);
  return tensor;
}

Renamed Joined(const std::vector<Renamed>& parts, const std::string& name) {
  Renamed whole = parts[0];
  whole.name = name;
  for (std::size_t i = 1; i < parts.size(); ++i) {
    whole.shape[0] += parts[i].shape[0];
    whole.bytes += parts[i].bytes;
  }
  return whole;
}

using Storages = std::vector<std::pair<std::string, std::string>>;

// The pickle of a dict of them, and their storages.
std::pair<std::string, Storages> DictOf(const std::vector<Renamed>& tensors) {
  PickleText items;
  Storages storages;
  for (const Renamed& tensor : tensors) {
    const std::string key = std::to_string(storages.size());
    std::vector<std::int32_t> size;
    std::vector<std::int32_t> stride(tensor.shape.size(), 1);
    for (const std::uint64_t n : tensor.shape) size.push_back(static_cast<std::int32_t>(n));
    for (std::size_t i = stride.size(); i-- > 1;) stride[i - 1] = stride[i] * size[i];
    const char* type = tensor.type == "F32"   ? "FloatStorage"
                       : tensor.type == "F16" ? "HalfStorage"
                                              : "BFloat16Storage";
    items.Tensor(tensor.name, 0, size, stride, key, type);
    storages.emplace_back(key, tensor.bytes);
  }
  return {model::files::Dict(items), std::move(storages)};
}

// As torch.save writes it.
std::string TorchOf(const std::vector<Renamed>& tensors) {
  const auto [dict, storages] = DictOf(tensors);
  return model::files::TorchZip(dict, storages);
}

// A pickle without its beginning and end: as a part of another one.
std::string Inner(const std::string& pickle) { return pickle.substr(2, pickle.size() - 3); }

std::string Layer(std::size_t layer) { return "model.layers." + std::to_string(layer) + "."; }

// Each writes a model into a folder, from the files of a stored one.
void WriteHuggingFace(const ModelFiles& files, const TemporaryFolder& folder) {
  fs::copy_file(fs::path(files.path) / "config.json", folder.Path("config.json"));
  std::vector<Renamed> tensors;
  for (const Tensor& tensor : files.tensors.all()) {
    tensors.push_back(Copy(files, tensor.name, tensor.name));
  }
  folder.Write("pytorch_model.bin", TorchOf(tensors));
}

void WriteMeta(const ModelFiles& files, const TemporaryFolder& folder) {
  std::vector<Renamed> tensors = {Copy(files, "model.embed_tokens.weight", "tok_embeddings.weight"),
                                  Copy(files, "model.norm.weight", "norm.weight"),
                                  Copy(files, "lm_head.weight", "output.weight")};
  constexpr std::size_t kHeadDim = 16;
  // Neighbours turn together, where Hugging Face has the halves of a head.
  const auto neighbours = [](std::size_t row) {
    const std::size_t in = row % kHeadDim;
    return row - in + in % 2 * (kHeadDim / 2) + in / 2;
  };
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string hf = Layer(i);
    const std::string meta = hf.substr(6);
    const auto copy = [&](const char* from, const char* to) {
      return Copy(files, hf + from + ".weight", meta + to + ".weight");
    };
    tensors.push_back(Reordered(copy("self_attn.q_proj", "attention.wq"), neighbours));
    tensors.push_back(Reordered(copy("self_attn.k_proj", "attention.wk"), neighbours));
    tensors.push_back(copy("self_attn.v_proj", "attention.wv"));
    tensors.push_back(copy("self_attn.o_proj", "attention.wo"));
    tensors.push_back(copy("mlp.gate_proj", "feed_forward.w1"));
    tensors.push_back(copy("mlp.down_proj", "feed_forward.w2"));
    tensors.push_back(copy("mlp.up_proj", "feed_forward.w3"));
    tensors.push_back(copy("input_layernorm", "attention_norm"));
    tensors.push_back(copy("post_attention_layernorm", "ffn_norm"));
  }
  folder.Write("consolidated.00.pth", TorchOf(tensors));
  folder.Write("params.json",
               R"({"dim":64,"n_layers":2,"n_heads":4,"n_kv_heads":2,"norm_eps":0.01,)"
               R"("vocab_size":-1,"multiple_of":32})");
}

std::vector<Renamed> MinGptTensors(const ModelFiles& files) {
  std::vector<Renamed> tensors;
  for (const Tensor& tensor : files.tensors.all()) {
    Renamed copy = Copy(files, tensor.name, tensor.name);
    const bool matrix = tensor.shape.size() == 2 && tensor.name.find(".h.") != std::string::npos;
    tensors.push_back(matrix ? Transposed(std::move(copy)) : std::move(copy));
  }
  return tensors;
}

void WriteMinGpt(const ModelFiles& files, const TemporaryFolder& folder) {
  std::vector<Renamed> tensors = MinGptTensors(files);
  tensors.push_back(Copy(files, "transformer.wte.weight", "lm_head.weight"));
  folder.Write("pytorch_model.bin", TorchOf(tensors));
  folder.Write("config.json", R"({"model_type":"mingpt","n_layer":2,"n_head":4,"n_embd":64,)"
                              R"("block_size":128,"layer_norm_epsilon":0.01})");
}

// A checkpoint of a training run, which says itself what it is. Its GELU is the exact one, where
// the stored model has the other: that moves logits by 0.0003 standard deviations.
void WriteNanoGpt(const ModelFiles& files, const TemporaryFolder& folder) {
  std::vector<Renamed> tensors = MinGptTensors(files);
  tensors.push_back(Copy(files, "transformer.wte.weight", "lm_head.weight"));
  for (Renamed& tensor : tensors) tensor.name.insert(0, "_orig_mod.");
  const auto [dict, storages] = DictOf(tensors);
  PickleText run;
  run.Text("model").Op(Inner(dict));
  PickleText arguments;
  for (const auto& [key, value] : {std::pair("n_layer", 2),
                                   {"n_head", 4},
                                   {"n_embd", 64},
                                   {"block_size", 128},
                                   {"vocab_size", 256}}) {
    arguments.Text(key).Whole(value);
  }
  arguments.Text("bias")
      .Op("\x88")
      .Text("layer_norm_epsilon")
      .Op("G\x3f\x84\x7a\xe1\x47\xae\x14\x7b");
  run.Text("model_args").Op(Inner(model::files::Dict(arguments))).Text("iter_num").Whole(5);
  folder.Write("ckpt.pt", model::files::TorchZip(model::files::Dict(run), storages));
}

void WriteLitGpt(const ModelFiles& files, const TemporaryFolder& folder) {
  std::vector<Renamed> tensors = {
      Copy(files, "model.embed_tokens.weight", "transformer.wte.weight"),
      Copy(files, "model.norm.weight", "transformer.ln_f.weight"),
      Copy(files, "lm_head.weight", "lm_head.weight")};
  for (std::size_t i = 0; i < 2; ++i) {
    const std::string hf = Layer(i);
    const std::string lit = "transformer.h." + std::to_string(i) + ".";
    const auto copy = [&](const char* from, const char* to) {
      return Copy(files, hf + from + ".weight", lit + to + ".weight");
    };
    tensors.push_back(Joined(
        {copy("self_attn.q_proj", ""), copy("self_attn.k_proj", ""), copy("self_attn.v_proj", "")},
        lit + "attn.qkv.weight"));
    tensors.push_back(copy("self_attn.o_proj", "attn.proj"));
    tensors.push_back(copy("mlp.gate_proj", "mlp.fc_1"));
    tensors.push_back(copy("mlp.up_proj", "mlp.fc_2"));
    tensors.push_back(copy("mlp.down_proj", "mlp.proj"));
    tensors.push_back(copy("input_layernorm", "norm_1"));
    tensors.push_back(copy("post_attention_layernorm", "norm_2"));
  }
  folder.Write("lit_model.pth", TorchOf(tensors));
  folder.Write(
      "model_config.yaml",
      "bias: false\nblock_size: 256\nhead_size: 16\nhf_config:\n  name: x\n  org: y\n"
      "intermediate_size: 96\nmlp_class_name: LLaMAMLP\nn_embd: 64\nn_head: 4\nn_layer: 2\n"
      "n_query_groups: 2\nnorm_class_name: RMSNorm\nnorm_eps: 0.01\npadded_vocab_size: 256\n"
      "parallel_residual: false\nrope_base: 10000\nrotary_percentage: 1.0\n"
      "shared_attention_norm: false\nvocab_size: 250\n");
}

// LitGPT's first generation, which had GPT-NeoX's fused matrices under another name.
void WriteOldLitGpt(const ModelFiles& files, const TemporaryFolder& folder) {
  const std::pair<const char*, const char*> names[] = {
      {"gpt_neox.embed_in.", "transformer.wte."},
      {"gpt_neox.final_layer_norm.", "transformer.ln_f."},
      {"embed_out.", "lm_head."},
      {"gpt_neox.layers.", "transformer.h."},
      {".input_layernorm.", ".norm_1."},
      {".post_attention_layernorm.", ".norm_2."},
      {".attention.query_key_value.", ".attn.attn."},
      {".attention.dense.", ".attn.proj."},
      {".mlp.dense_h_to_4h.", ".mlp.fc."},
      {".mlp.dense_4h_to_h.", ".mlp.proj."},
  };
  std::vector<Renamed> tensors;
  for (const Tensor& tensor : files.tensors.all()) {
    std::string name = tensor.name;
    for (const auto& [from, to] : names) {
      const std::size_t at = name.find(from);
      if (at != std::string::npos) name.replace(at, std::strlen(from), to);
    }
    tensors.push_back(Copy(files, tensor.name, name));
  }
  folder.Write("lit_model.pth", TorchOf(tensors));
  folder.Write(
      "lit_config.json",
      R"({"block_size":256,"vocab_size":250,"padded_vocab_size":256,"n_layer":2,"n_head":4,)"
      R"("n_embd":64,"intermediate_size":96,"rotary_percentage":0.5,"parallel_residual":true,)"
      R"("bias":true,"norm_eps":0.01})");
}

// Weights of half precision kept as numbers of f32, fused as MLC fuses them.
void WriteMlc(const ModelFiles& files, const TemporaryFolder& folder) {
  std::vector<Renamed> tensors;
  for (const Tensor& tensor : files.tensors.all()) {
    const bool fused = tensor.name.find("self_attn.") != std::string::npos ||
                       tensor.name.find("mlp.") != std::string::npos;
    const bool alone = tensor.name.find(".o_proj") != std::string::npos ||
                       tensor.name.find(".down_proj") != std::string::npos;
    if (!fused || alone) tensors.push_back(Copy(files, tensor.name, tensor.name));
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const auto copy = [&](const char* name) {
      return Copy(files, Layer(i) + name + ".weight", "");
    };
    tensors.push_back(
        Joined({copy("self_attn.q_proj"), copy("self_attn.k_proj"), copy("self_attn.v_proj")},
               Layer(i) + "self_attn.qkv_proj.weight"));
    tensors.push_back(
        Joined({copy("mlp.gate_proj"), copy("mlp.up_proj")}, Layer(i) + "mlp.gate_up_proj.weight"));
  }
  nlohmann::json records = nlohmann::json::array();
  std::string data;
  for (const Renamed& tensor : tensors) {
    records.push_back({{"name", tensor.name},
                       {"shape", tensor.shape},
                       {"dtype", "float32"},
                       {"format", "f32-to-bf16"},
                       {"nbytes", tensor.bytes.size()},
                       {"byteOffset", data.size()}});
    data += tensor.bytes;
  }
  folder.Write("params_shard_0.bin", data);
  const nlohmann::json shard = {{"dataPath", "params_shard_0.bin"},
                                {"format", "raw-shard"},
                                {"nbytes", data.size()},
                                {"records", records}};
  const nlohmann::json cache = {{"metadata", {{"ParamSize", tensors.size()}}},
                                {"records", nlohmann::json::array({shard})}};
  folder.Write("ndarray-cache.json", cache.dump());
  folder.Write("mlc-chat-config.json",
               R"({"model_type":"llama","quantization":"q0f32","context_window_size":256,)"
               R"("model_config":{"hidden_size":64,"intermediate_size":96,"num_attention_heads":4,)"
               R"("num_hidden_layers":2,"num_key_value_heads":2,"head_dim":16,"rms_norm_eps":0.01,)"
               R"("vocab_size":256,"position_embedding_base":500000,"context_window_size":256,)"
               R"("sliding_window_size":-1,"tie_word_embeddings":true}})");
}

struct Case {
  const char* name;
  const char* model;
  void (*write)(const ModelFiles& files, const TemporaryFolder& folder);
  double bound = kStrict;
  const char* file = "";
};

class EveryContainer : public ::testing::TestWithParam<Case> {};

TEST_P(EveryContainer, GivesTheReferenceLogits) {
  const fs::path folder = Golden(GetParam().model);
  const auto files = model::files::OpenModelFiles(folder.string());
  ASSERT_TRUE(files.ok()) << files.status().message();
  TemporaryFolder written;
  GetParam().write(*files, written);
  const Case& c = GetParam();
  Comparison(folder, model::TrueMode(), c.bound, written.Path(c.file)).Run();
}

INSTANTIATE_TEST_SUITE_P(Golden, EveryContainer,
                         ::testing::Values(Case{"PyTorch", "qwen2", WriteHuggingFace},
                                           Case{"Meta", "llama_gqa_untied", WriteMeta},
                                           Case{"MinGpt", "gpt2", WriteMinGpt},
                                           Case{"NanoGpt", "gpt2", WriteNanoGpt, 2e-3, "ckpt.pt"},
                                           Case{"Mlc", "llama_gqa_tied", WriteMlc},
                                           Case{"LitGpt", "llama_gqa_untied", WriteLitGpt},
                                           Case{"OldLitGpt", "gpt_neox", WriteOldLitGpt}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace bramble
