// The format is that of llama.cpp's history: `llama_file_loader` in llama.cpp, and the blocks in
// ggml.c, of 2023-03-10 to 2023-08-21.
#include "model/files/old_ggml.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/encodings/bits.h"
#include "kernels/encodings/encoding.h"
#include "model/files/little_endian.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

constexpr std::uint32_t kGgml = 0x67676d6c;
constexpr std::uint32_t kGgmf = 0x67676d66;
constexpr std::uint32_t kGgjt = 0x67676a74;
constexpr std::uint64_t kAlignment = 32;  // of ggjt's tensors
constexpr std::uint64_t kMostSide = std::uint64_t{1} << 24;
constexpr std::uint32_t kMostVocabulary = 1U << 20;
constexpr std::size_t kNameLimit = 128;
constexpr std::size_t kBlock = 32;
// Ids of tokens that are one byte each, as SentencePiece's models of LLaMA have them.
constexpr std::uint32_t kFirstByte = 3;
constexpr std::uint32_t kLastByte = 258;

using Bytes = std::span<const std::byte>;

// How a block is written down.
struct Version {
  bool scored = true;      // the vocabulary has scores
  bool aligned = false;    // tensors' data
  bool neighbours = true;  // byte j holds values 2 j and 2 j + 1, not j and j + 16
  bool halves = false;     // scales are f16 (those of Q5 always were)
};

class Cursor {
 public:
  explicit Cursor(Bytes bytes) : bytes_(bytes) {}
  bool AtEnd() const { return at_ == bytes_.size(); }
  std::size_t at() const { return at_; }

  Result<std::uint32_t> Word() {
    ASSIGN_OR_RETURN(const Bytes word, Take(sizeof(std::uint32_t)));
    return Load<std::uint32_t>(word.data());
  }
  Result<Bytes> Take(std::uint64_t count) {
    if (count > bytes_.size() - at_) {
      return Invalid("the file ends: ", count, " bytes are needed at byte ", at_, ", and it has ",
                     bytes_.size());
    }
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  Status Align() { return Take((kAlignment - at_ % kAlignment) % kAlignment).status(); }

 private:
  Bytes bytes_;
  std::size_t at_ = 0;
};

// The value i < 32 of 16 bytes of nibbles.
std::uint32_t Nibble(const std::byte* nibbles, std::size_t i, bool neighbours) {
  const std::size_t byte = neighbours ? i / 2 : i % 16;
  const std::size_t half = neighbours ? i % 2 : i / 16;
  return kernels::Byte(nibbles + byte) >> (4 * half) & 15U;
}

// 16 bytes of nibbles in today's order.
void WriteNibbles(const std::byte* nibbles, bool neighbours, std::byte* to) {
  for (std::size_t i = 0; i < 16; ++i) {
    to[i] = static_cast<std::byte>(Nibble(nibbles, i, neighbours) |
                                   Nibble(nibbles, i + 16, neighbours) << 4U);
  }
}

// A block of the file to one of the encoding.
using RecodeFn = void (*)(const std::byte* block, bool neighbours, std::byte* to);

// f32 d, nibbles: d * (nibble - 8).
void RecodeQ40(const std::byte* block, bool neighbours, std::byte* to) {
  const std::int16_t zero = 8;
  std::memcpy(to, block, 4);
  std::memcpy(to + 4, &zero, sizeof(zero));
  WriteNibbles(block + 4, neighbours, to + 6);
}

// f32 d, 32 signed bytes: d * byte.
void RecodeQ80(const std::byte* block, bool /*neighbours*/, std::byte* to) {
  std::memcpy(to, block, 4);
  std::memset(to + 4, 0, 2);
  std::memcpy(to + 6, block + 4, kBlock);
}

// Scales of f16, 32 fifth bits, nibbles: only these change.
template <std::size_t kBefore>
void RecodeFive(const std::byte* block, bool neighbours, std::byte* to) {
  std::memcpy(to, block, kBefore);
  WriteNibbles(block + kBefore, neighbours, to + kBefore);
}

void WriteFloat(float value, std::byte* to) { std::memcpy(to, &value, sizeof(value)); }

// f32 d, f32 m, nibbles: d * nibble + m.
void WidenQ41(const std::byte* block, bool neighbours, std::byte* to) {
  const auto d = Load<float>(block);
  const auto m = Load<float>(block + 4);
  for (std::size_t i = 0; i < kBlock; ++i) {
    WriteFloat(d * static_cast<float>(Nibble(block + 8, i, neighbours)) + m, to + 4 * i);
  }
}

// Twice 16 values: f16 d, 8 bytes of neighbours: d * (nibble - 8).
void WidenQ42(const std::byte* block, bool /*neighbours*/, std::byte* to) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    const std::byte* half = block + i / 16 * 10;
    const std::uint32_t code = kernels::Byte(half + 2 + i % 16 / 2) >> (i % 2 * 4) & 15U;
    WriteFloat(kernels::HalfAt(half) * static_cast<float>(static_cast<int>(code) - 8), to + 4 * i);
  }
}

// Twice 16 values: f16 d, f16 m, 8 bytes of neighbours: d * nibble + m.
void WidenQ43(const std::byte* block, bool /*neighbours*/, std::byte* to) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    const std::byte* half = block + i / 16 * 12;
    const std::uint32_t code = kernels::Byte(half + 4 + i % 16 / 2) >> (i % 2 * 4) & 15U;
    WriteFloat(kernels::HalfAt(half) * static_cast<float>(code) + kernels::HalfAt(half + 2),
               to + 4 * i);
  }
}

struct Type {
  std::uint32_t number;
  const char* name;
  v1::Encoding encoding;
  std::uint32_t bytes;  // of 32 values in the file; 0: as the encoding has them
  RecodeFn recode;      // nullptr: as they are
};
// The types of all versions, those of before May 2023 and those of before f16 scales.
constexpr Type kTypesNow[] = {
    {0, "F32", v1::ENCODING_F32, 0, nullptr},    {1, "F16", v1::ENCODING_F16, 0, nullptr},
    {2, "Q4_0", v1::ENCODING_Q4_0, 0, nullptr},  {3, "Q4_1", v1::ENCODING_Q4_1, 0, nullptr},
    {6, "Q5_0", v1::ENCODING_Q5_0, 0, nullptr},  {7, "Q5_1", v1::ENCODING_Q5_1, 0, nullptr},
    {8, "Q8_0", v1::ENCODING_Q8_0, 0, nullptr},  {10, "Q2_K", v1::ENCODING_Q2_K, 0, nullptr},
    {11, "Q3_K", v1::ENCODING_Q3_K, 0, nullptr}, {12, "Q4_K", v1::ENCODING_Q4_K, 0, nullptr},
    {13, "Q5_K", v1::ENCODING_Q5_K, 0, nullptr}, {14, "Q6_K", v1::ENCODING_Q6_K, 0, nullptr},
};
constexpr Type kTypesBefore[] = {
    {0, "F32", v1::ENCODING_F32, 0, nullptr},
    {1, "F16", v1::ENCODING_F16, 0, nullptr},
    {2, "Q4_0", v1::ENCODING_INT4, 20, RecodeQ40},
    {3, "Q4_1", v1::ENCODING_F32, 24, WidenQ41},
    {4, "Q4_2", v1::ENCODING_F32, 20, WidenQ42},
    {5, "Q4_3", v1::ENCODING_F32, 24, WidenQ43},
    {6, "Q5_0", v1::ENCODING_Q5_0, 22, RecodeFive<6>},
    {7, "Q5_1", v1::ENCODING_Q5_1, 24, RecodeFive<8>},
    {8, "Q8_0", v1::ENCODING_INT8, 36, RecodeQ80},
};

// llama.cpp's names, which were Meta's, and GGUF's.
constexpr std::pair<std::string_view, std::string_view> kNames[] = {
    {"tok_embeddings.weight", "token_embd.weight"},
    {"norm.weight", "output_norm.weight"},
    {"output.weight", "output.weight"},
};
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attention.wq.weight", "attn_q.weight"},      {"attention.wk.weight", "attn_k.weight"},
    {"attention.wv.weight", "attn_v.weight"},      {"attention.wo.weight", "attn_output.weight"},
    {"feed_forward.w1.weight", "ffn_gate.weight"}, {"feed_forward.w2.weight", "ffn_down.weight"},
    {"feed_forward.w3.weight", "ffn_up.weight"},   {"attention_norm.weight", "attn_norm.weight"},
    {"ffn_norm.weight", "ffn_norm.weight"},
};

std::string GgufName(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  for (const auto& [from, to] : kNames) {
    if (name == from) return std::string(to);
  }
  const std::size_t dot = name.find('.', kLayers.size());
  if (name.starts_with(kLayers) && dot != std::string_view::npos) {
    for (const auto& [from, to] : kLayerNames) {
      if (name.substr(dot + 1) != from) continue;
      const std::string_view number = name.substr(kLayers.size(), dot + 1 - kLayers.size());
      return std::string("blk.").append(number).append(to);
    }
  }
  return std::string(name);
}

class Reader {
 public:
  explicit Reader(Bytes bytes) : cursor_(bytes) {}

  Result<ModelFiles> Read() {
    RETURN_IF_ERROR(ReadVersion());
    std::uint32_t* const numbers[] = {&vocabulary_, &width_,   &multiple_, &heads_,
                                      &layers_,     &rotated_, &type_};
    for (std::uint32_t* number : numbers) {
      ASSIGN_OR_RETURN(*number, cursor_.Word());
    }
    if (vocabulary_ == 0 || vocabulary_ > kMostVocabulary || heads_ == 0 || width_ == 0) {
      return Invalid("a vocabulary of ", vocabulary_, ", a width of ", width_, " and ", heads_,
                     " heads are no model's");
    }
    RETURN_IF_ERROR(ReadVocabulary());
    while (!cursor_.AtEnd()) RETURN_IF_ERROR(ReadTensor());
    RETURN_IF_ERROR(files_.tensors.Seal());
    Describe();
    return std::move(files_);
  }

 private:
  Status ReadVersion() {
    ASSIGN_OR_RETURN(const std::uint32_t magic, cursor_.Word());
    std::uint32_t number = 0;
    if (magic != kGgml) {
      ASSIGN_OR_RETURN(number, cursor_.Word());
    }
    const bool ggjt = magic == kGgjt;
    if (magic != kGgml && (number == 0 || number > (ggjt ? 3U : 1U))) {
      return Unimplemented("version ", number, " of this kind of file is not known");
    }
    version_.scored = magic != kGgml;
    version_.aligned = ggjt;
    version_.neighbours = !ggjt || number == 1;
    version_.halves = ggjt && number == 3;
    files_.container = magic == kGgml ? "ggml" : (ggjt ? "ggjt" : "ggmf");
    if (magic != kGgml) files_.container += " version " + std::to_string(number);
    return {};
  }

  Status ReadVocabulary() {
    MetaList tokens;
    MetaList scores;
    MetaList types;
    for (std::uint32_t id = 0; id < vocabulary_; ++id) {
      ASSIGN_OR_RETURN(const std::uint32_t size, cursor_.Word());
      ASSIGN_OR_RETURN(const Bytes text, cursor_.Take(size));
      float score = 0;
      if (version_.scored) {
        ASSIGN_OR_RETURN(const Bytes bits, cursor_.Take(sizeof(score)));
        score = Load<float>(bits.data());
      }
      tokens.push_back({Spelling(id, text)});
      scores.push_back({static_cast<double>(score)});
      const bool byte = id >= kFirstByte && id <= kLastByte && text.size() == 1;
      types.push_back({std::int64_t{id == 0 ? 2 : (id < kFirstByte ? 3 : (byte ? 6 : 1))}});
    }
    Metadata& metadata = files_.metadata;
    metadata["tokenizer.ggml.tokens"] = {std::move(tokens)};
    if (version_.scored) metadata["tokenizer.ggml.scores"] = {std::move(scores)};
    metadata["tokenizer.ggml.token_type"] = {std::move(types)};
    metadata["tokenizer.ggml.model"] = {std::string(version_.scored ? "llama" : "none")};
    metadata["tokenizer.ggml.bos_token_id"] = {std::int64_t{1}};
    metadata["tokenizer.ggml.eos_token_id"] = {std::int64_t{2}};
    metadata["tokenizer.ggml.unknown_token_id"] = {std::int64_t{0}};
    return {};
  }

  // As GGUF spells it: bytes by their number, spaces as U+2581.
  static std::string Spelling(std::uint32_t id, Bytes text) {
    constexpr std::string_view kSpecial[] = {"<unk>", "<s>", "</s>"};
    constexpr char kDigits[] = "0123456789ABCDEF";
    if (id < std::size(kSpecial)) return std::string(kSpecial[id]);
    if (id <= kLastByte && text.size() == 1) {
      const std::uint32_t byte = id - kFirstByte;
      return {'<', '0', 'x', kDigits[byte / 16], kDigits[byte % 16], '>'};
    }
    std::string spelling;
    for (const std::byte byte : text) {
      if (byte == std::byte{' '}) {
        spelling += "\xe2\x96\x81";
      } else {
        spelling += static_cast<char>(byte);
      }
    }
    return spelling;
  }

  Status ReadTensor() {
    ASSIGN_OR_RETURN(const std::uint32_t dimensions, cursor_.Word());
    ASSIGN_OR_RETURN(const std::uint32_t name_bytes, cursor_.Word());
    ASSIGN_OR_RETURN(const std::uint32_t type_number, cursor_.Word());
    if (dimensions < 1 || dimensions > 2) return Invalid("a tensor of ", dimensions, " dimensions");
    Tensor tensor;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      ASSIGN_OR_RETURN(const std::uint32_t size, cursor_.Word());
      if (size == 0 || size > kMostSide) return Invalid("a tensor with a side of ", size);
      tensor.shape.insert(tensor.shape.begin(), size);  // the file has the innermost one first
    }
    ASSIGN_OR_RETURN(const Bytes name, cursor_.Take(name_bytes));
    const std::string_view text(reinterpret_cast<const char*>(name.data()), name.size());
    RETURN_IF_ERROR(CheckName(text, kNameLimit));
    tensor.name = GgufName(text);
    if (version_.aligned) RETURN_IF_ERROR(cursor_.Align());
    return ReadData(type_number, &tensor).WithContext("tensor " + Quote(text));
  }

  Status ReadData(std::uint32_t number, Tensor* tensor) {
    const std::span<const Type> types =
        version_.halves ? std::span<const Type>(kTypesNow) : std::span<const Type>(kTypesBefore);
    const auto type =
        std::find_if(types.begin(), types.end(), [&](const Type& t) { return t.number == number; });
    if (type == types.end()) return Unimplemented("type ", number, " is not known in this version");
    const auto& info = *kernels::FindEncoding(static_cast<kernels::Encoding>(type->encoding));
    const std::uint64_t columns = tensor->shape.back();
    const std::uint64_t block =
        std::max<std::uint64_t>(info.block_values, type->bytes == 0 ? 1 : kBlock);
    if (columns % block != 0) {
      return Invalid("rows of ", columns, " values are no whole blocks of ", type->name);
    }
    const std::uint64_t values = tensor->values();
    tensor->encoding = type->encoding;
    tensor->type = type->name;
    if (type->bytes == 0) {
      ASSIGN_OR_RETURN(tensor->bytes, cursor_.Take(values / info.block_values * info.block_bytes));
      return files_.tensors.Add(std::move(*tensor));
    }
    ASSIGN_OR_RETURN(const Bytes stored, cursor_.Take(values / kBlock * type->bytes));
    if (type->encoding != v1::ENCODING_F32 &&
        (version_.neighbours || info.block_bytes != type->bytes)) {
      tensor->bytes = Recode(*type, stored, values, info);
    } else if (type->encoding == v1::ENCODING_F32) {
      tensor->bytes = Recode(*type, stored, values, info);
      if (!widened_) {
        files_.notes.push_back(std::string(type->name) +
                               " of this version is in no encoding: it is widened to F32");
      }
      widened_ = true;
    } else {
      tensor->bytes = stored;
    }
    return files_.tensors.Add(std::move(*tensor));
  }

  Bytes Recode(const Type& type, Bytes stored, std::uint64_t values,
               const kernels::EncodingInfo& info) {
    const std::size_t step = kBlock / info.block_values * info.block_bytes;
    auto owned = std::make_shared<std::vector<std::byte>>(values / kBlock * step);
    for (std::uint64_t i = 0; i < values / kBlock; ++i) {
      type.recode(stored.data() + i * type.bytes, version_.neighbours, owned->data() + i * step);
    }
    files_.owned.push_back(owned);
    return *owned;
  }

  // What the file does not say follows from its tensors, or is what llama.cpp took it for.
  void Describe() {
    Metadata& metadata = files_.metadata;
    const auto set = [&](const char* key, std::int64_t value) { metadata[key] = {value}; };
    const Tensor* keys = files_.tensors.Find("blk.0.attn_k.weight");
    const Tensor* gate = files_.tensors.Find("blk.0.ffn_gate.weight");
    const std::uint32_t head_dim = std::max(1U, width_ / heads_);
    std::int64_t kv_heads = heads_;
    if (keys != nullptr && keys->shape.size() == 2) {
      kv_heads = static_cast<std::int64_t>(keys->shape[0] / head_dim);
    }
    const bool second = kv_heads < heads_;  // only LLaMA 2's largest shares keys
    metadata["general.architecture"] = {std::string("llama")};
    set("llama.context_length", second ? 4096 : 2048);
    set("llama.embedding_length", width_);
    set("llama.block_count", layers_);
    set("llama.attention.head_count", heads_);
    set("llama.attention.head_count_kv", kv_heads);
    set("llama.rope.dimension_count", rotated_);
    set("llama.vocab_size", vocabulary_);
    if (gate != nullptr && gate->shape.size() == 2) {
      set("llama.feed_forward_length", static_cast<std::int64_t>(gate->shape[0]));
    }
    metadata["llama.attention.layer_norm_rms_epsilon"] = {second ? 1e-5 : 5e-6};
    files_.notes.emplace_back(
        second
            ? "files of this kind do not say the norms' epsilon: 1e-5, as LLaMA 2 has it"
            : "files of this kind do not say the norms' epsilon: 5e-6, between LLaMA 1 and 2, as "
              "llama.cpp took it");
  }

  Cursor cursor_;
  Version version_;
  ModelFiles files_;
  bool widened_ = false;
  std::uint32_t vocabulary_ = 0;
  std::uint32_t width_ = 0;
  std::uint32_t multiple_ = 0;
  std::uint32_t heads_ = 0;
  std::uint32_t layers_ = 0;
  std::uint32_t rotated_ = 0;
  std::uint32_t type_ = 0;
};

}  // namespace

bool IsOldGgml(Bytes head) {
  if (head.size() < sizeof(std::uint32_t)) return false;
  const auto magic = Load<std::uint32_t>(head.data());
  return magic == kGgml || magic == kGgmf || magic == kGgjt;
}

Result<ModelFiles> ReadOldGgml(Bytes bytes) { return Reader(bytes).Read(); }

Result<ModelFiles> OpenOldGgml(const std::string& path) {
  ASSIGN_OR_RETURN(auto map, MappedFile::Open(path));
  auto files = ReadOldGgml(map->bytes());
  if (!files.ok()) return files.status().WithContext(QuotePath(path));
  files->dialect = Dialect::kGguf;
  files->path = path;
  files->maps.push_back(std::move(map));
  return files;
}

}  // namespace bramble::model::files
