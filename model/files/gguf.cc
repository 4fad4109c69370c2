#include "model/files/gguf.h"

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "kernels/encodings/encoding.h"
#include "model/files/little_endian.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

constexpr std::array<char, 4> kMagic = {'G', 'G', 'U', 'F'};
constexpr std::uint64_t kMostKeys = 1u << 16;
constexpr std::size_t kKeyLimit = 65535;
constexpr std::size_t kTensorNameLimit = 1024;
constexpr std::uint64_t kMostNameBytes = 16u << 20;  // of all keys and names together
constexpr std::uint32_t kMostDimensions = 4;
constexpr int kDeepestList = 8;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMostAlignment = 1u << 20;
// The least that one entry takes: name length, one byte of name, type, and a value or a shape and
// an offset.
constexpr std::uint64_t kLeastKeyBytes = 8 + 1 + 4 + 1;
constexpr std::uint64_t kLeastTensorBytes = 8 + 1 + 4 + 4 + 8;

// ggml's tensor types: https://github.com/ggml-org/ggml/blob/master/include/ggml.h. How large a
// block is stands in kernels/encodings/; the types below `kInteger` are no weights, and one value
// has `bytes` bytes.
struct TensorType {
  std::uint32_t number;
  const char* name;
  v1::Encoding encoding;
  std::uint32_t bytes;
};
constexpr TensorType kTensorTypes[] = {
    {0, "F32", v1::ENCODING_F32, 0},          {1, "F16", v1::ENCODING_F16, 0},
    {2, "Q4_0", v1::ENCODING_Q4_0, 0},        {3, "Q4_1", v1::ENCODING_Q4_1, 0},
    {6, "Q5_0", v1::ENCODING_Q5_0, 0},        {7, "Q5_1", v1::ENCODING_Q5_1, 0},
    {8, "Q8_0", v1::ENCODING_Q8_0, 0},        {10, "Q2_K", v1::ENCODING_Q2_K, 0},
    {11, "Q3_K", v1::ENCODING_Q3_K, 0},       {12, "Q4_K", v1::ENCODING_Q4_K, 0},
    {13, "Q5_K", v1::ENCODING_Q5_K, 0},       {14, "Q6_K", v1::ENCODING_Q6_K, 0},
    {16, "IQ2_XXS", v1::ENCODING_IQ2_XXS, 0}, {17, "IQ2_XS", v1::ENCODING_IQ2_XS, 0},
    {18, "IQ3_XXS", v1::ENCODING_IQ3_XXS, 0}, {19, "IQ1_S", v1::ENCODING_IQ1_S, 0},
    {20, "IQ4_NL", v1::ENCODING_IQ4_NL, 0},   {21, "IQ3_S", v1::ENCODING_IQ3_S, 0},
    {22, "IQ2_S", v1::ENCODING_IQ2_S, 0},     {23, "IQ4_XS", v1::ENCODING_IQ4_XS, 0},
    {24, "I8", v1::ENCODING_UNSPECIFIED, 1},  {25, "I16", v1::ENCODING_UNSPECIFIED, 2},
    {26, "I32", v1::ENCODING_UNSPECIFIED, 4}, {27, "I64", v1::ENCODING_UNSPECIFIED, 8},
    {28, "F64", v1::ENCODING_UNSPECIFIED, 8}, {29, "IQ1_M", v1::ENCODING_IQ1_M, 0},
    {30, "BF16", v1::ENCODING_BF16, 0},       {34, "TQ1_0", v1::ENCODING_TQ1_0, 0},
    {35, "TQ2_0", v1::ENCODING_TQ2_0, 0},     {39, "MXFP4", v1::ENCODING_MXFP4, 0},
    {40, "NVFP4", v1::ENCODING_NVFP4, 0},
};

// What is still unread. Every method fails rather than read past the end.
class Cursor {
 public:
  explicit Cursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t at() const { return at_; }
  std::uint64_t left() const { return bytes_.size() - at_; }

  template <typename T>
  Status Read(T* value) {
    if (left() < sizeof(T)) return EndsAt(sizeof(T));
    *value = Load<T>(bytes_.data() + at_);
    at_ += sizeof(T);
    return {};
  }

  Status ReadBytes(std::uint64_t count, std::span<const std::byte>* bytes) {
    if (left() < count) return EndsAt(count);
    *bytes = bytes_.subspan(at_, count);
    at_ += count;
    return {};
  }

  Status ReadText(std::string_view* text) {
    std::uint64_t size = 0;
    std::span<const std::byte> bytes;
    RETURN_IF_ERROR(Read(&size));
    RETURN_IF_ERROR(ReadBytes(size, &bytes));
    *text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    return {};
  }

  std::span<const std::byte> Since(std::uint64_t begin) const {
    return bytes_.subspan(begin, at_ - begin);
  }

 private:
  Status EndsAt(std::uint64_t count) const {
    return Invalid("the file ends inside of its header: ", count, " more bytes are needed at byte ",
                   at_, ", and it has ", bytes_.size());
  }

  std::span<const std::byte> bytes_;
  std::uint64_t at_ = 0;
};

Status SkipList(Cursor* cursor, int depth, PackedList* list);

// Steps over the elements of a list whose size does not follow from their number.
Status SkipVariable(Cursor* cursor, int depth, const PackedList& list) {
  const bool texts = list.element == MetaType::kText;
  if (list.count > cursor->left() / (texts ? 8 : 12)) {
    return Invalid("a list of ", list.count, " elements does not fit into the ", cursor->left(),
                   " bytes that are left");
  }
  for (std::uint64_t i = 0; i < list.count; ++i) {
    std::string_view text;
    PackedList inner;
    RETURN_IF_ERROR(texts ? cursor->ReadText(&text) : SkipList(cursor, depth + 1, &inner));
  }
  return {};
}

Status SkipList(Cursor* cursor, int depth, PackedList* list) {
  if (depth > kDeepestList) return Invalid("lists in lists, deeper than ", kDeepestList);
  std::uint32_t element = 0;
  RETURN_IF_ERROR(cursor->Read(&element));
  RETURN_IF_ERROR(cursor->Read(&list->count));
  list->element = static_cast<MetaType>(element);
  const std::uint64_t begin = cursor->at();
  const std::size_t step = MetaTypeBytes(list->element);
  if (step > 0) {
    if (list->count > cursor->left() / step) {
      return Invalid("a list of ", list->count, " elements of ", step,
                     " bytes does not fit into the ", cursor->left(), " bytes that are left");
    }
    return cursor->ReadBytes(list->count * step, &list->bytes);
  }
  if (list->element != MetaType::kText && list->element != MetaType::kArray) {
    return Invalid("a list of elements of the unknown type ", element);
  }
  RETURN_IF_ERROR(SkipVariable(cursor, depth, *list));
  list->bytes = cursor->Since(begin);
  return {};
}

Status ReadValue(Cursor* cursor, MetaValue* value) {
  std::uint32_t number = 0;
  RETURN_IF_ERROR(cursor->Read(&number));
  const auto type = static_cast<MetaType>(number);
  if (type == MetaType::kText) {
    std::string_view text;
    RETURN_IF_ERROR(cursor->ReadText(&text));
    value->value = text;
    return {};
  }
  if (type == MetaType::kArray) {
    PackedList list;
    RETURN_IF_ERROR(SkipList(cursor, 0, &list));
    value->value = list;
    return {};
  }
  const std::size_t size = MetaTypeBytes(type);
  if (size == 0) return Invalid("the unknown type ", number);
  std::span<const std::byte> bytes;
  RETURN_IF_ERROR(cursor->ReadBytes(size, &bytes));
  *value = DecodeScalar(type, bytes.data());
  return {};
}

// Keys and names are copied, and a hostile file could consist of them.
class NameBudget {
 public:
  Status Check(std::string_view name, std::size_t limit) {
    RETURN_IF_ERROR(CheckName(name, limit));
    spent_ += name.size();
    if (spent_ > kMostNameBytes) {
      return Invalid("keys and names of more than ", kMostNameBytes, " bytes together");
    }
    return {};
  }

 private:
  std::uint64_t spent_ = 0;
};

Status ReadMetadata(Cursor* cursor, std::uint64_t count, NameBudget* names, Metadata* metadata) {
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string_view key;
    MetaValue value;
    RETURN_IF_ERROR(cursor->ReadText(&key));
    RETURN_IF_ERROR(
        names->Check(key, kKeyLimit).WithContext("metadata entry " + std::to_string(i)));
    RETURN_IF_ERROR(ReadValue(cursor, &value).WithContext("metadata key " + Quote(key)));
    if (!metadata->emplace(key, std::move(value)).second) {
      return Invalid("metadata key ", Quote(key), " stands there twice");
    }
  }
  return {};
}

Status ReadShape(Cursor* cursor, Tensor* tensor) {
  std::uint32_t dimensions = 0;
  RETURN_IF_ERROR(cursor->Read(&dimensions));
  if (dimensions > kMostDimensions) {
    return Invalid(dimensions, " dimensions, the limit is ", kMostDimensions);
  }
  tensor->shape.resize(dimensions);
  for (std::uint32_t i = dimensions; i-- > 0;) {  // the file has the contiguous dimension first
    RETURN_IF_ERROR(cursor->Read(&tensor->shape[i]));
  }
  return {};
}

// How many bytes `tensor` has.
Status CountBytes(std::uint32_t type_number, Tensor* tensor, std::uint64_t* bytes) {
  const TensorType* type = nullptr;
  for (const TensorType& row : kTensorTypes) {
    if (row.number == type_number) type = &row;
  }
  if (type == nullptr) return Invalid("the unknown tensor type ", type_number);
  tensor->encoding = type->encoding;
  tensor->type = type->name;
  const auto* info = kernels::FindEncoding(static_cast<kernels::Encoding>(type->encoding));
  if (info == nullptr && type->bytes == 0) {
    return Unimplemented("its encoding ", type->name, " cannot be read yet");
  }
  const std::uint64_t block_values = type->bytes > 0 ? 1 : info->block_values;
  const std::uint64_t block_bytes = type->bytes > 0 ? type->bytes : info->block_bytes;
  std::uint64_t values = 0;
  if (!CountValues(tensor->shape, &values)) return Invalid("its shape has more values than 2^63");
  const std::uint64_t row = tensor->shape.empty() ? 1 : tensor->shape.back();
  if (row % block_values != 0) {
    return Invalid("rows of ", row, " values are not whole blocks of ", block_values, " (",
                   type->name, ")");
  }
  if (values / block_values > (std::uint64_t{1} << 62) / block_bytes) {
    return Invalid("it would have more than 2^62 bytes");
  }
  *bytes = values / block_values * block_bytes;
  return {};
}

// Reads one tensor's entry. Its bytes come later: they lie behind the last entry.
Status ReadTensor(Cursor* cursor, std::uint64_t alignment, NameBudget* names, Tensor* tensor,
                  Extent* extent) {
  std::string_view name;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  RETURN_IF_ERROR(cursor->ReadText(&name));
  RETURN_IF_ERROR(names->Check(name, kTensorNameLimit));
  tensor->name = name;
  const auto read = [&]() -> Status {
    RETURN_IF_ERROR(ReadShape(cursor, tensor));
    RETURN_IF_ERROR(cursor->Read(&type));
    RETURN_IF_ERROR(cursor->Read(&offset));
    RETURN_IF_ERROR(CountBytes(type, tensor, &bytes));
    if (offset % alignment != 0) {
      return Invalid("it starts at byte ", offset, " of the data, which is no multiple of ",
                     alignment);
    }
    if (offset > (std::uint64_t{1} << 62))
      return Invalid("it starts at byte ", offset, " of the data");
    return {};
  };
  RETURN_IF_ERROR(read().WithContext("tensor " + Quote(name)));
  extent->begin = offset;
  extent->end = offset + bytes;
  return {};
}

Result<std::uint64_t> Alignment(const Metadata& metadata) {
  const MetaValue* value = FindValue(metadata, "general.alignment");
  if (value == nullptr) return kDefaultAlignment;
  const auto whole = value->Whole().value_or(0);
  const auto alignment = static_cast<std::uint64_t>(whole);
  if (whole < 1 || alignment > kMostAlignment || (alignment & (alignment - 1)) != 0) {
    return Invalid("metadata key 'general.alignment' is ", value->ToText(),
                   ", and must be a power of two up to ", kMostAlignment);
  }
  return alignment;
}

Status CheckHeader(Cursor* cursor, std::uint32_t* version, std::uint64_t* tensors,
                   std::uint64_t* keys) {
  std::array<char, 4> magic{};
  RETURN_IF_ERROR(cursor->Read(&magic));
  if (magic != kMagic) return Invalid("it does not begin with 'GGUF'");
  RETURN_IF_ERROR(cursor->Read(version));
  if (*version != 0 && (*version & 0xFFFF) == 0) {
    return Unimplemented(
        "it is a GGUF file of a big-endian machine, and only little-endian ones can be read");
  }
  if (*version != 2 && *version != 3) {
    return Unimplemented("GGUF version ", *version, ", and only 2 and 3 can be read");
  }
  RETURN_IF_ERROR(cursor->Read(tensors));
  RETURN_IF_ERROR(cursor->Read(keys));
  if (*keys > kMostKeys) return Invalid(*keys, " metadata keys, the limit is ", kMostKeys);
  if (*tensors > kMostTensors) return Invalid(*tensors, " tensors, the limit is ", kMostTensors);
  if (*keys > cursor->left() / kLeastKeyBytes || *tensors > cursor->left() / kLeastTensorBytes) {
    return Invalid(*keys, " metadata keys and ", *tensors, " tensors do not fit into the ",
                   cursor->left(), " bytes that are left");
  }
  return {};
}

// Gives every tensor its bytes, which lie from `data` on.
Status Attach(std::span<const std::byte> data, std::uint64_t file_bytes,
              std::vector<Tensor>* tensors, std::vector<Extent>* extents) {
  for (const Extent& extent : *extents) {
    Tensor& tensor = (*tensors)[extent.tensor];
    if (extent.end > data.size()) {
      return Invalid("tensor ", Quote(tensor.name), " ends at byte ", extent.end,
                     " of the data, which has ", data.size(), " bytes (the file: ", file_bytes,
                     "); is it cut off?");
    }
    tensor.bytes = data.subspan(extent.begin, extent.end - extent.begin);
  }
  std::size_t first = 0;
  std::size_t second = 0;
  if (FindOverlap(extents, &first, &second)) {
    return Invalid("tensors ", Quote((*tensors)[first].name), " and ",
                   Quote((*tensors)[second].name), " share bytes");
  }
  return {};
}

}  // namespace

bool IsGguf(std::span<const std::byte> head) {
  return head.size() >= kMagic.size() &&
         std::memcmp(head.data(), kMagic.data(), kMagic.size()) == 0;
}

Result<GgufPart> ReadGguf(std::span<const std::byte> bytes) {
  Cursor cursor(bytes);
  NameBudget names;
  GgufPart part;
  std::uint64_t tensors = 0;
  std::uint64_t keys = 0;
  RETURN_IF_ERROR(CheckHeader(&cursor, &part.version, &tensors, &keys));
  RETURN_IF_ERROR(ReadMetadata(&cursor, keys, &names, &part.metadata));
  ASSIGN_OR_RETURN(const std::uint64_t alignment, Alignment(part.metadata));
  if (tensors > cursor.left() / kLeastTensorBytes) {
    return Invalid(tensors, " tensors do not fit into the ", cursor.left(), " bytes that are left");
  }
  part.tensors.resize(tensors);
  std::vector<Extent> extents(tensors);
  for (std::size_t i = 0; i < tensors; ++i) {
    extents[i].tensor = i;
    RETURN_IF_ERROR(ReadTensor(&cursor, alignment, &names, &part.tensors[i], &extents[i])
                        .WithContext("entry " + std::to_string(i)));
  }
  const std::uint64_t begin = (cursor.at() + alignment - 1) / alignment * alignment;
  const auto data = begin < bytes.size() ? bytes.subspan(begin) : std::span<const std::byte>{};
  RETURN_IF_ERROR(Attach(data, bytes.size(), &part.tensors, &extents));
  return part;
}

}  // namespace bramble::model::files
