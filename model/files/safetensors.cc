#include "model/files/safetensors.h"

#include <iterator>
#include <utility>

#include "model/files/json_events.h"
#include "model/files/little_endian.h"

namespace bramble::model::files {
namespace {

// As large as the most tensors need. The reference implementation takes three times as much.
constexpr std::uint64_t kMostHeaderBytes = 32u << 20;
constexpr std::size_t kNameLimit = 1024;
constexpr std::size_t kMostDimensions = 8;

// https://github.com/huggingface/safetensors/blob/main/safetensors/src/tensor.rs, those of whole
// bytes.
struct DataType {
  const char* name;
  v1::Encoding encoding;
  std::uint32_t bytes;
};
constexpr DataType kDataTypes[] = {
    {"F32", v1::ENCODING_F32, 4},
    {"F16", v1::ENCODING_F16, 2},
    {"BF16", v1::ENCODING_BF16, 2},
    {"F64", v1::ENCODING_UNSPECIFIED, 8},
    {"F8_E4M3", v1::ENCODING_UNSPECIFIED, 1},
    {"F8_E5M2", v1::ENCODING_UNSPECIFIED, 1},
    {"F8_E8M0", v1::ENCODING_UNSPECIFIED, 1},
    {"I64", v1::ENCODING_UNSPECIFIED, 8},
    {"U64", v1::ENCODING_UNSPECIFIED, 8},
    {"I32", v1::ENCODING_UNSPECIFIED, 4},
    {"U32", v1::ENCODING_UNSPECIFIED, 4},
    {"I16", v1::ENCODING_UNSPECIFIED, 2},
    {"U16", v1::ENCODING_UNSPECIFIED, 2},
    {"I8", v1::ENCODING_UNSPECIFIED, 1},
    {"U8", v1::ENCODING_UNSPECIFIED, 1},
    {"BOOL", v1::ENCODING_UNSPECIFIED, 1},
};

// The header: {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, "__metadata__":
// {...}}.
class HeaderReader final : public JsonEvents {
 public:
  explicit HeaderReader(std::span<const std::byte> data) : data_(data) {}

  std::vector<Tensor>& tensors() { return tensors_; }
  std::vector<Extent>& extents() { return extents_; }

  bool null() override { return Unexpected("null"); }
  bool boolean(bool) override { return Unexpected("a flag"); }
  bool number_integer(number_integer_t) override { return Unexpected("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return Unexpected("a fraction"); }

  bool start_object(std::size_t) override {
    if (++depth_ == 1) return true;
    if (depth_ > 2 || in_list_) return Unexpected("an object");
    tensor_ = {};
    offsets_.clear();
    has_type_ = has_shape_ = has_offsets_ = false;
    return true;
  }

  bool key(string_t& key) override {
    (depth_ == 1 ? name_ : field_) = std::move(key);
    return true;
  }

  bool string(string_t& value) override {
    if (IsMetadata()) return true;
    if (depth_ != 2 || in_list_ || field_ != "dtype" || std::exchange(has_type_, true))
      return Unexpected("a text");
    type_ = std::move(value);
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_list_ || IsMetadata()) return Unexpected("a list");
    bool* has = field_ == "shape"          ? &has_shape_
                : field_ == "data_offsets" ? &has_offsets_
                                           : nullptr;
    if (has == nullptr || std::exchange(*has, true)) return Unexpected("a list");
    in_list_ = true;
    return true;
  }
  bool end_array() override {
    in_list_ = false;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_list_) return Unexpected("a number");
    std::vector<std::uint64_t>& list = field_ == "shape" ? tensor_.shape : offsets_;
    if (list.size() >= kMostDimensions) return Unexpected("a list of more than 8");
    list.push_back(value);
    return true;
  }

  bool end_object() override {
    if (--depth_ == 0 || name_ == kMetadata) return true;
    const Status status = Finish();
    return status.ok() || Fail(status.WithContext("tensor " + Quote(name_)));
  }

 private:
  static constexpr char kMetadata[] = "__metadata__";

  bool IsMetadata() const { return depth_ == 2 && name_ == kMetadata; }

  bool Unexpected(const char* what) {
    if (depth_ == 0) return Fail(Invalid("the header is no JSON object"));
    return Fail(Invalid("the header has ", what, " where none belongs, in ", Quote(name_), " at ",
                        Quote(field_)));
  }

  Status Finish() {
    if (tensors_.size() >= kMostTensors)
      return Invalid("there are more than ", kMostTensors, " tensors");
    RETURN_IF_ERROR(CheckName(name_, kNameLimit));
    if (!has_type_ || !has_shape_ || !has_offsets_ || offsets_.size() != 2) {
      return Invalid("it needs 'dtype', 'shape' and two 'data_offsets'");
    }
    const DataType* type = nullptr;
    for (const DataType& row : kDataTypes) {
      if (type_ == row.name) type = &row;
    }
    if (type == nullptr) return Unimplemented("the type ", Quote(type_), " cannot be read");
    std::uint64_t values = 0;
    if (!CountValues(tensor_.shape, &values)) return Invalid("its shape has more values than 2^63");
    const std::uint64_t begin = offsets_[0];
    const std::uint64_t end = offsets_[1];
    if (begin > end || end > data_.size()) {
      return Invalid("its bytes are ", begin, " to ", end, " of the data, which has ", data_.size(),
                     "; is the file cut off?");
    }
    if (values > (end - begin) / type->bytes || values * type->bytes != end - begin) {
      return Invalid("it has ", end - begin, " bytes, and its shape ", ShapeText(tensor_.shape),
                     " of ", type->name, " needs ", type->bytes, " for each value");
    }
    tensor_.name = name_;
    tensor_.type = type->name;
    tensor_.encoding = type->encoding;
    tensor_.bytes = data_.subspan(begin, end - begin);
    extents_.push_back({begin, end, tensors_.size()});
    tensors_.push_back(std::move(tensor_));
    return {};
  }

  std::span<const std::byte> data_;
  std::vector<Tensor> tensors_;
  std::vector<Extent> extents_;
  int depth_ = 0;
  bool in_list_ = false;
  std::string name_;
  std::string field_;
  std::string type_;
  Tensor tensor_;
  std::vector<std::uint64_t> offsets_;
  bool has_type_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
};

}  // namespace

bool IsSafetensors(std::span<const std::byte> head, std::uint64_t file_bytes) {
  if (head.size() <= sizeof(std::uint64_t)) return false;
  const auto size = Load<std::uint64_t>(head.data());
  return size >= 2 && size <= file_bytes - sizeof(size) && head[sizeof(size)] == std::byte{'{'};
}

Result<std::vector<Tensor>> ReadSafetensors(std::span<const std::byte> bytes) {
  constexpr std::uint64_t kLengthBytes = sizeof(std::uint64_t);
  if (bytes.size() < kLengthBytes)
    return Invalid("a file of ", bytes.size(), " bytes is no safetensors file");
  const auto size = Load<std::uint64_t>(bytes.data());
  if (size > kMostHeaderBytes) {
    return Invalid("a header of ", size, " bytes, the limit is ", kMostHeaderBytes,
                   "; is it a safetensors file?");
  }
  if (size > bytes.size() - kLengthBytes) {
    return Invalid("a header of ", size, " bytes in a file of ", bytes.size(), "; is it cut off?");
  }
  const auto header = bytes.subspan(kLengthBytes, size);
  HeaderReader reader(bytes.subspan(kLengthBytes + size));
  RETURN_IF_ERROR(ParseJson({reinterpret_cast<const char*>(header.data()), header.size()}, &reader)
                      .WithContext("header"));
  std::size_t first = 0;
  std::size_t second = 0;
  if (FindOverlap(&reader.extents(), &first, &second)) {
    return Invalid("tensors ", Quote(reader.tensors()[first].name), " and ",
                   Quote(reader.tensors()[second].name), " share bytes");
  }
  return std::move(reader.tensors());
}

}  // namespace bramble::model::files
