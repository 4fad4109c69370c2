#include "model/files/mlc_folder.h"

#include <filesystem>
#include <map>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "model/files/json.h"
#include "model/files/json_events.h"
#include "model/files/quote.h"
#include "model/files/shards.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostConfigBytes = std::size_t{1} << 20;
constexpr std::size_t kMostConfigValues = 4096;
constexpr std::size_t kMostCacheBytes = std::size_t{32} << 20;
constexpr std::size_t kMostShards = 65536;
constexpr std::size_t kMostDimensions = 8;
constexpr std::size_t kNameLimit = 1024;
constexpr char kConfigName[] = "mlc-chat-config.json";
constexpr const char* kCacheNames[] = {"tensor-cache.json", "ndarray-cache.json"};

struct DataType {
  std::string_view dtype;
  std::string_view format;
  const char* type;  // as safetensors spells it
  v1::Encoding encoding;
  std::uint32_t bytes;
};
constexpr DataType kDataTypes[] = {
    {"float32", "raw", "F32", v1::ENCODING_F32, 4},
    {"float32", "f32-to-bf16", "BF16", v1::ENCODING_BF16, 2},  // the upper halves
    {"float16", "raw", "F16", v1::ENCODING_F16, 2},
    {"bfloat16", "raw", "BF16", v1::ENCODING_BF16, 2},
    {"uint32", "raw", "U32", v1::ENCODING_UNSPECIFIED, 4},
    {"int32", "raw", "I32", v1::ENCODING_UNSPECIFIED, 4},
    {"uint8", "raw", "U8", v1::ENCODING_UNSPECIFIED, 1},
    {"int8", "raw", "I8", v1::ENCODING_UNSPECIFIED, 1},
};

// {"metadata": {...}, "records": [{"dataPath": ..., "records": [{"name": ..., "shape": [...],
// ...}]}]}
class CacheReader final : public JsonEvents {
 public:
  std::vector<MlcShard>& shards() { return shards_; }

  bool start_object(std::size_t) override {
    ++objects_;
    if (objects_ > 3 || lists_ > 2) return Fail(Invalid("it is nested deeper than it should be"));
    if (objects_ == 2 && lists_ == 1) {
      if (shards_.size() >= kMostShards)
        return Fail(Exhausted("more than ", kMostShards, " files"));
      shards_.emplace_back();
    }
    if (objects_ != 3 || lists_ != 2 || shards_.empty()) return true;
    if (++count_ > kMostTensors) return Fail(Exhausted("more than ", kMostTensors, " tensors"));
    shards_.back().records.emplace_back();
    return true;
  }
  bool end_object() override {
    --objects_;
    return true;
  }
  bool start_array(std::size_t) override {
    ++lists_;
    return lists_ <= 3 || Fail(Invalid("it is nested deeper than it should be"));
  }
  bool end_array() override {
    --lists_;
    return true;
  }
  bool key(string_t& key) override {
    key_ = key;
    return true;
  }
  bool string(string_t& value) override {
    if (InShard() && key_ == "dataPath") shards_.back().path = value;
    if (!InRecord()) return true;
    MlcRecord& record = shards_.back().records.back();
    if (key_ == "name") record.name = value;
    if (key_ == "dtype") record.dtype = value;
    if (key_ == "format") record.format = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (objects_ == 3 && lists_ == 3 && HasRecord() && key_ == "shape") {
      std::vector<std::uint64_t>& shape = shards_.back().records.back().shape;
      if (shape.size() >= kMostDimensions) return Fail(Invalid("a tensor has too many dimensions"));
      shape.push_back(value);
    }
    if (!InRecord()) return true;
    if (key_ == "nbytes") shards_.back().records.back().bytes = value;
    if (key_ == "byteOffset") shards_.back().records.back().offset = value;
    return true;
  }

 private:
  // Depth alone does not tell: lists may stand where objects should, and the other way round.
  bool HasRecord() const { return !shards_.empty() && !shards_.back().records.empty(); }
  bool InShard() const { return objects_ == 2 && lists_ == 1 && !shards_.empty(); }
  bool InRecord() const { return objects_ == 3 && lists_ == 2 && HasRecord(); }

  std::vector<MlcShard> shards_;
  std::string key_;
  int objects_ = 0;
  int lists_ = 0;
  std::size_t count_ = 0;
};

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

Result<Tensor> TensorOf(const MlcRecord& record, std::span<const std::byte> bytes) {
  RETURN_IF_ERROR(CheckName(record.name, kNameLimit));
  const DataType* type = nullptr;
  for (const DataType& row : kDataTypes) {
    if (row.dtype == record.dtype && row.format == record.format) type = &row;
  }
  if (type == nullptr) {
    return Unimplemented("numbers of ", Quote(record.dtype), " as ", Quote(record.format),
                         " cannot be read");
  }
  std::uint64_t values = 0;
  if (!CountValues(record.shape, &values)) return Invalid("its shape has more values than 2^63");
  if (record.offset > bytes.size() || record.bytes > bytes.size() - record.offset) {
    return Invalid("its ", record.bytes, " bytes at ", record.offset, " end past the file's ",
                   bytes.size());
  }
  if (values > record.bytes / type->bytes || values * type->bytes != record.bytes) {
    return Invalid("it has ", record.bytes, " bytes, and its shape ", ShapeText(record.shape),
                   " of ", type->type, " needs ", type->bytes, " for each value");
  }
  Tensor tensor;
  tensor.name = record.name;
  tensor.encoding = type->encoding;
  tensor.type = type->type;
  tensor.shape = record.shape;
  tensor.bytes = bytes.subspan(record.offset, record.bytes);
  return tensor;
}

// Fused matrices and their biases, cut by rows.
struct Cut {
  std::string_view fused;
  std::vector<std::pair<std::string_view, std::uint64_t>> parts;  // name, rows
};

// A part of a size that the description says; 0 if it does not.
std::uint64_t CountOf(const Metadata& config, const char* key) {
  const MetaValue* value = FindValue(config, key);
  const std::int64_t count = value == nullptr ? 0 : value->Whole().value_or(0);
  return count > 0 && count < (1 << 24) ? static_cast<std::uint64_t>(count) : 0;
}

std::vector<Cut> CutsOf(const Metadata& config) {
  const std::uint64_t heads = CountOf(config, "num_attention_heads");
  const std::uint64_t kv = CountOf(config, "num_key_value_heads");
  std::uint64_t dim = CountOf(config, "head_dim");
  if (dim == 0 && heads > 0) dim = CountOf(config, "hidden_size") / heads;
  const std::uint64_t q = heads * dim;
  const std::uint64_t k = (kv == 0 ? heads : kv) * dim;
  const std::uint64_t inner = CountOf(config, "intermediate_size");
  const std::vector<std::pair<std::string_view, std::uint64_t>> attention = {
      {"q_proj", q}, {"k_proj", k}, {"v_proj", k}};
  return {{".qkv_proj.", attention},
          {".c_attn.", attention},
          {".gate_up_proj.", {{"gate_proj", inner}, {"up_proj", inner}}}};
}

Status AddCut(const Tensor& tensor, const std::vector<Cut>& cuts, TensorIndex* index) {
  for (const Cut& cut : cuts) {
    const std::size_t at = tensor.name.find(cut.fused);
    if (at == std::string::npos) continue;
    std::uint64_t rows = 0;
    for (const auto& [name, count] : cut.parts) rows += count;
    if (tensor.shape.empty() || tensor.shape[0] != rows || rows == 0) {
      return Invalid("tensor ", Quote(tensor.name), " has the shape ", ShapeText(tensor.shape),
                     ", and the description's parts have ", rows, " rows");
    }
    const std::size_t row = tensor.bytes.size() / rows;
    std::uint64_t first = 0;
    for (const auto& [name, count] : cut.parts) {
      Tensor part = tensor;
      part.name.replace(at + 1, cut.fused.size() - 2, name);
      part.shape[0] = count;
      part.bytes = tensor.bytes.subspan(first * row, count * row);
      first += count;
      RETURN_IF_ERROR(index->Add(std::move(part)));
    }
    return {};
  }
  return index->Add(tensor);
}

// What a config.json would say: the part "model_config", and what it names otherwise.
Metadata ConfigOf(const Metadata& config) {
  constexpr std::string_view kModel = "model_config.";
  Metadata result;
  for (const auto& [key, value] : config) {
    if (std::string_view(key).starts_with(kModel)) result.emplace(key.substr(kModel.size()), value);
  }
  constexpr std::pair<const char*, const char*> kKeys[] = {
      {"position_embedding_base", "rope_theta"},
      {"context_window_size", "max_position_embeddings"},
      {"sliding_window_size", "sliding_window"},
  };
  for (const auto& [from, to] : kKeys) {
    const MetaValue* value = FindValue(result, from);
    if (value != nullptr && value->Real().value_or(0) > 0) result.emplace(to, *value);
  }
  for (const char* key : {"model_type", "quantization"}) {
    if (const MetaValue* value = FindValue(config, key)) result.insert_or_assign(key, *value);
  }
  return result;
}

Status CheckQuantization(const Metadata& config) {
  const MetaValue* value = FindValue(config, "quantization");
  const std::string_view name = value == nullptr ? "" : value->Text().value_or("");
  if (name == "q4f16_1" || name == "q4f32_1" || name == "q4f16_2" || name == "q0f16" ||
      name == "q0f32" || name == "q0bf16") {
    return {};
  }
  return Unimplemented("the quantization ", Quote(name),
                       " cannot be read; q4f16_1, q4f16_2, q4f32_1, q0f16, q0bf16 and q0f32 can");
}

Result<std::vector<MlcShard>> ReadCache(const std::string& folder) {
  for (const char* name : kCacheNames) {
    const std::string path = folder + "/" + name;
    if (!Exists(path)) continue;
    ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostCacheBytes));
    auto shards = ReadMlcCache(text);
    if (!shards.ok()) return shards.status().WithContext(QuotePath(path));
    return shards;
  }
  return NotFound(QuotePath(folder), ": there is neither ", kCacheNames[0], " nor ", kCacheNames[1],
                  " beside ", kConfigName);
}

Status AddShard(const std::string& folder, const MlcShard& shard, const std::vector<Cut>& cuts,
                ModelFiles* files) {
  RETURN_IF_ERROR(CheckShardName(shard.path));
  const std::string path = folder + "/" + shard.path;
  ASSIGN_OR_RETURN(auto map, MappedFile::Open(path));
  std::vector<Extent> extents;
  for (const MlcRecord& record : shard.records) {
    const auto tensor = TensorOf(record, map->bytes());
    if (!tensor.ok()) {
      return tensor.status()
          .WithContext("tensor " + Quote(record.name))
          .WithContext(QuotePath(path));
    }
    extents.push_back({record.offset, record.offset + record.bytes, extents.size()});
    RETURN_IF_ERROR(AddCut(*tensor, cuts, &files->tensors).WithContext(QuotePath(path)));
  }
  std::size_t first = 0;
  std::size_t second = 0;
  if (FindOverlap(&extents, &first, &second)) {
    return Invalid(QuotePath(path), ": tensors ", Quote(shard.records[first].name), " and ",
                   Quote(shard.records[second].name), " share bytes");
  }
  files->maps.push_back(std::move(map));
  return {};
}

}  // namespace

Result<std::vector<MlcShard>> ReadMlcCache(std::string_view text) {
  CacheReader reader;
  RETURN_IF_ERROR(ParseJson(text, &reader));
  return std::move(reader.shards());
}

bool IsMlcFolder(const std::string& folder) { return Exists(folder + "/" + kConfigName); }

Result<ModelFiles> OpenMlcFolder(const std::string& folder) {
  const std::string path = folder + "/" + kConfigName;
  ASSIGN_OR_RETURN(const std::string text, ReadText(path, kMostConfigBytes));
  auto config = ReadJson(text, kMostConfigValues);
  if (!config.ok()) return config.status().WithContext(QuotePath(path));
  RETURN_IF_ERROR(CheckQuantization(*config).WithContext(QuotePath(path)));
  ModelFiles files;
  files.dialect = Dialect::kHuggingFace;
  files.path = folder;
  files.metadata = ConfigOf(*config);
  ASSIGN_OR_RETURN(const auto shards, ReadCache(folder));
  const std::vector<Cut> cuts = CutsOf(files.metadata);
  for (const MlcShard& shard : shards) RETURN_IF_ERROR(AddShard(folder, shard, cuts, &files));
  RETURN_IF_ERROR(files.tensors.Seal().WithContext(QuotePath(folder)));
  files.container = "MLC";
  if (const MetaValue* name = FindValue(files.metadata, "quantization")) {
    files.container += ", " + Escape(name->Text().value_or(""), 40);
  }
  return files;
}

}  // namespace bramble::model::files
