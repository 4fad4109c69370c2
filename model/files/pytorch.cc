#include "model/files/pytorch.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "model/files/little_endian.h"
#include "model/files/pickle.h"
#include "model/files/quote.h"
#include "model/files/zip.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostDimensions = 8;
constexpr std::size_t kNameLimit = 1024;
constexpr int kMostDepth = 8;
constexpr std::size_t kMostSettings = std::size_t{1} << 16;
constexpr std::size_t kMostWalked = std::size_t{1} << 20;

struct DataType {
  std::string_view storage;  // the name of its storages
  std::string_view name;     // and of itself
  const char* type;          // as safetensors spells it
  v1::Encoding encoding;
  std::uint32_t bytes;
};
constexpr DataType kDataTypes[] = {
    {"torch.FloatStorage", "torch.float32", "F32", v1::ENCODING_F32, 4},
    {"torch.HalfStorage", "torch.float16", "F16", v1::ENCODING_F16, 2},
    {"torch.BFloat16Storage", "torch.bfloat16", "BF16", v1::ENCODING_BF16, 2},
    {"torch.DoubleStorage", "torch.float64", "F64", v1::ENCODING_UNSPECIFIED, 8},
    {"torch.LongStorage", "torch.int64", "I64", v1::ENCODING_UNSPECIFIED, 8},
    {"torch.IntStorage", "torch.int32", "I32", v1::ENCODING_UNSPECIFIED, 4},
    {"torch.ShortStorage", "torch.int16", "I16", v1::ENCODING_UNSPECIFIED, 2},
    {"torch.CharStorage", "torch.int8", "I8", v1::ENCODING_UNSPECIFIED, 1},
    {"torch.ByteStorage", "torch.uint8", "U8", v1::ENCODING_UNSPECIFIED, 1},
    {"torch.BoolStorage", "torch.bool", "BOOL", v1::ENCODING_UNSPECIFIED, 1},
    {"torch.storage.UntypedStorage", "torch.uint8", "U8", v1::ENCODING_UNSPECIFIED, 1},
    {"", "torch.float8_e4m3fn", "F8_E4M3", v1::ENCODING_UNSPECIFIED, 1},
};

const DataType* FindStorageType(std::string_view name) {
  for (const DataType& type : kDataTypes) {
    if (!type.storage.empty() && type.storage == name) return &type;
  }
  return nullptr;
}

const DataType* FindNumberType(std::string_view name) {
  for (const DataType& type : kDataTypes) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

// Where the weights of a training run's checkpoint stand.
constexpr std::string_view kWeightKeys[] = {"state_dict", "model_state_dict", "model", "module"};
// What wrappers put in front of every name.
constexpr std::string_view kWrapperPrefixes[] = {"_orig_mod.", "module."};

using Storages = std::map<std::string_view, std::span<const std::byte>>;

// Turns one pickle and its storages into tensors.
class TensorMaker {
 public:
  TensorMaker(const Pickle& pickle, const Storages& storages, std::size_t most_owned,
              PytorchFile* file)
      : pickle_(pickle), storages_(storages), most_owned_(most_owned), file_(*file) {}

  Status Make() {
    const PickleValue* weights = &pickle_.root();
    for (const std::string_view key : kWeightKeys) {
      const PickleValue* inner = pickle_.Find(pickle_.root(), key);
      if (inner != nullptr && HasTensor(*inner)) {
        weights = inner;
        RETURN_IF_ERROR(WalkSettings(pickle_.root(), weights, "", 0));
        break;
      }
    }
    if (weights->kind != PickleKind::kDict) return Invalid("it holds no dict of tensors");
    RETURN_IF_ERROR(WalkTensors(*weights, "", 0));
    if (file_.tensors.empty()) return Invalid("it holds no tensors");
    StripPrefixes();
    return {};
  }

 private:
  bool HasTensor(const PickleValue& dict) const {
    const auto items = pickle_.items(dict);
    return dict.kind == PickleKind::kDict &&
           std::any_of(items.begin(), items.end(), [&](std::uint32_t place) {
             return pickle_.at(place).kind == PickleKind::kTensor;
           });
  }

  // Values may be shared and contain themselves: each visit counts.
  Status Visit() {
    if (++walked_ <= kMostWalked) return {};
    return Exhausted("more than ", kMostWalked, " values in dicts of dicts");
  }

  Status WalkTensors(const PickleValue& dict, const std::string& prefix, int depth) {
    const auto items = pickle_.items(dict);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      RETURN_IF_ERROR(Visit());
      const PickleValue& key = pickle_.at(items[i]);
      const PickleValue& value = pickle_.at(items[i + 1]);
      if (key.kind != PickleKind::kText) continue;
      if (value.kind == PickleKind::kTensor) {
        const std::string name = prefix + std::string(key.text.substr(0, kNameLimit + 1));
        const Status status = AddTensor(name, value);
        if (!status.ok()) return status.WithContext("tensor " + Quote(name));
      } else if (value.kind == PickleKind::kDict && depth < kMostDepth) {
        RETURN_IF_ERROR(WalkTensors(
            value, prefix + std::string(key.text.substr(0, kNameLimit)) + ".", depth + 1));
      } else {
        AddSetting(prefix + std::string(key.text.substr(0, kNameLimit)), value);
      }
    }
    return {};
  }

  // Whatever is a text, a flag or a number, but in `skipped`.
  Status WalkSettings(const PickleValue& dict, const PickleValue* skipped,
                      const std::string& prefix, int depth) {
    const auto items = pickle_.items(dict);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      RETURN_IF_ERROR(Visit());
      const PickleValue& key = pickle_.at(items[i]);
      const PickleValue& value = pickle_.at(items[i + 1]);
      if (key.kind != PickleKind::kText || &value == skipped) continue;
      const std::string name = prefix + std::string(key.text.substr(0, kNameLimit));
      if (value.kind == PickleKind::kDict && depth < kMostDepth) {
        RETURN_IF_ERROR(WalkSettings(value, skipped, name + ".", depth + 1));
      } else {
        AddSetting(name, value);
      }
    }
    return {};
  }

  void AddSetting(const std::string& name, const PickleValue& value) {
    if (file_.metadata.size() >= kMostSettings) return;
    if (value.kind == PickleKind::kFlag) file_.metadata[name] = MetaValue{value.flag};
    if (value.kind == PickleKind::kWhole) file_.metadata[name] = MetaValue{value.whole};
    if (value.kind == PickleKind::kReal) file_.metadata[name] = MetaValue{value.real};
    if (value.kind == PickleKind::kText) file_.metadata[name] = MetaValue{std::string(value.text)};
  }

  Result<std::vector<std::uint64_t>> Wholes(std::uint32_t place) const {
    const auto items = pickle_.items(pickle_.at(place));
    if (items.size() > kMostDimensions) return Invalid("it has ", items.size(), " dimensions");
    std::vector<std::uint64_t> wholes;
    for (const std::uint32_t item : items) {
      const PickleValue& value = pickle_.at(item);
      if (value.kind != PickleKind::kWhole || value.whole < 0) {
        return Invalid("a size or stride of it is no whole number from 0");
      }
      wholes.push_back(static_cast<std::uint64_t>(value.whole));
    }
    return wholes;
  }

  Status AddTensor(const std::string& name, const PickleValue& value) {
    if (file_.tensors.size() >= kMostTensors) {
      return Exhausted("there are more than ", kMostTensors, " tensors");
    }
    RETURN_IF_ERROR(CheckName(name, kNameLimit));
    const auto parts = pickle_.items(value);
    const PickleValue& storage = pickle_.at(parts[0]);
    const auto bytes = storages_.find(storage.text);
    if (bytes == storages_.end())
      return Invalid("its storage ", Quote(storage.text), " is missing");
    const std::string_view type_name = pickle_.at(pickle_.items(storage)[0]).text;
    const DataType* type =
        value.text.empty() ? FindStorageType(type_name) : FindNumberType(value.text);
    if (type == nullptr) return Unimplemented("the type ", Quote(type_name), " cannot be read");
    ASSIGN_OR_RETURN(auto shape, Wholes(parts[1]));
    ASSIGN_OR_RETURN(const auto strides, Wholes(parts[2]));
    if (shape.size() != strides.size()) return Invalid("it has more sizes than strides, or fewer");
    std::uint64_t values = 0;
    if (!CountValues(shape, &values)) return Invalid("its shape has more values than 2^63");
    const std::uint64_t have = bytes->second.size() / type->bytes;
    RETURN_IF_ERROR(CheckView(shape, strides, value.whole, values, have));
    Tensor tensor;
    tensor.name = name;
    tensor.encoding = type->encoding;
    tensor.type = type->type;
    const auto offset = values == 0 ? 0 : static_cast<std::uint64_t>(value.whole);
    if (IsContiguous(shape, strides)) {
      tensor.bytes = bytes->second.subspan(offset * type->bytes, values * type->bytes);
    } else {
      ASSIGN_OR_RETURN(tensor.bytes,
                       Straighten(bytes->second, shape, strides, offset, values, type->bytes));
    }
    tensor.shape = std::move(shape);
    file_.tensors.push_back(std::move(tensor));
    return {};
  }

  // The last element lies in the storage, and there are no more elements than it has: a stride of 0
  // could make any number of them.
  static Status CheckView(const std::vector<std::uint64_t>& shape,
                          const std::vector<std::uint64_t>& strides, std::int64_t offset,
                          std::uint64_t values, std::uint64_t have) {
    if (values == 0) return {};
    if (offset < 0 || static_cast<std::uint64_t>(offset) >= have) {
      return Invalid("it begins at element ", offset, " of a storage of ", have);
    }
    std::uint64_t rest = have - 1 - static_cast<std::uint64_t>(offset);
    for (std::size_t i = 0; i < shape.size(); ++i) {
      const std::uint64_t steps = shape[i] - 1;
      if (steps != 0 && strides[i] > rest / steps) {
        return Invalid("with the shape ", ShapeText(shape), " and the strides ", ShapeText(strides),
                       " it ends past its storage of ", have, " elements");
      }
      rest -= steps * strides[i];
    }
    if (values > have) {
      return Invalid("its shape ", ShapeText(shape), " has more values than the ", have,
                     " of its storage");
    }
    return {};
  }

  static bool IsContiguous(const std::vector<std::uint64_t>& shape,
                           const std::vector<std::uint64_t>& strides) {
    std::uint64_t stride = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] == 0) return true;
      if (shape[i] != 1 && strides[i] != stride) return false;
      stride *= shape[i];
    }
    return true;
  }

  // A copy with the elements side by side. All copies together are no larger than the file.
  Result<std::span<const std::byte>> Straighten(std::span<const std::byte> storage,
                                                const std::vector<std::uint64_t>& shape,
                                                const std::vector<std::uint64_t>& strides,
                                                std::uint64_t offset, std::uint64_t values,
                                                std::size_t element) {
    const std::uint64_t size = values * element;
    if (size > most_owned_) {
      return Exhausted("tensors whose elements do not lie side by side are larger than the file");
    }
    most_owned_ -= size;
    auto copy = std::make_shared<std::vector<std::byte>>(size);
    std::vector<std::uint64_t> index(shape.size());
    std::uint64_t at = offset;
    for (std::uint64_t i = 0; i < values; ++i) {
      std::memcpy(copy->data() + i * element, storage.data() + at * element, element);
      for (std::size_t d = shape.size(); d-- > 0;) {
        at += strides[d];
        if (++index[d] < shape[d]) break;
        at -= shape[d] * strides[d];
        index[d] = 0;
      }
    }
    file_.owned.push_back(copy);
    return std::span<const std::byte>(*copy);
  }

  void StripPrefixes() {
    for (const std::string_view prefix : kWrapperPrefixes) {
      const bool all = std::all_of(file_.tensors.begin(), file_.tensors.end(),
                                   [&](const Tensor& t) { return t.name.starts_with(prefix); });
      if (!all) continue;
      for (Tensor& tensor : file_.tensors) tensor.name.erase(0, prefix.size());
    }
  }

  const Pickle& pickle_;
  const Storages& storages_;
  std::size_t most_owned_;
  PytorchFile& file_;
  std::size_t walked_ = 0;
};

std::string_view TextOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// ROOT/data.pkl, ROOT/data/KEY, ROOT/byteorder.
Status ReadZipped(std::span<const std::byte> bytes, PytorchFile* file) {
  constexpr std::string_view kPickle = "data.pkl";
  ASSIGN_OR_RETURN(const auto members, ReadZip(bytes));
  std::string_view root;
  const ZipMember* pickled = nullptr;
  for (const ZipMember& member : members) {
    if (!member.name.ends_with(kPickle)) continue;
    const std::string_view before = member.name.substr(0, member.name.size() - kPickle.size());
    if (before.find('/') != before.size() - 1) continue;
    if (pickled != nullptr) return Invalid("two members are a ", kPickle);
    pickled = &member;
    root = before;
  }
  if (pickled == nullptr) {
    return Invalid("the zip archive has no FOLDER/", kPickle, ": PyTorch has not written it");
  }
  Storages storages;
  const std::string data = std::string(root) + "data/";
  const std::string order = std::string(root) + "byteorder";
  for (const ZipMember& member : members) {
    if (member.name.starts_with(data)) {
      storages.emplace(member.name.substr(data.size()), member.bytes);
    }
    if (member.name == order && TextOf(member.bytes) != "little") {
      return Unimplemented("its numbers are ", Quote(TextOf(member.bytes)), "-endian");
    }
  }
  std::size_t length = 0;
  ASSIGN_OR_RETURN(const Pickle pickle, Pickle::Read(pickled->bytes, &length));
  return TensorMaker(pickle, storages, bytes.size(), file).Make();
}

// A pickle at the beginning of `bytes`, which goes on behind it.
Result<Pickle> ReadNext(std::span<const std::byte>* bytes) {
  std::size_t length = 0;
  ASSIGN_OR_RETURN(Pickle pickle, Pickle::Read(*bytes, &length));
  *bytes = bytes->subspan(length);
  return pickle;
}

// The bytes of each element of the storages that a pickle names.
Result<std::map<std::string_view, std::size_t>> ElementSizes(const Pickle& pickle,
                                                             std::size_t count) {
  std::map<std::string_view, std::size_t> sizes;
  for (std::uint32_t place = 0; place < count; ++place) {
    const PickleValue& value = pickle.at(place);
    if (value.kind != PickleKind::kStorage) continue;
    const std::string_view name = pickle.at(pickle.items(value)[0]).text;
    const DataType* type = FindStorageType(name);
    if (type == nullptr) return Unimplemented("storages of ", Quote(name), " cannot be read");
    const auto [found, fresh] = sizes.emplace(value.text, type->bytes);
    if (found->second != type->bytes) {
      return Invalid("storage ", Quote(value.text), " is of two types");
    }
  }
  return sizes;
}

// Five pickles: a number, a version, what wrote it, the object, the keys; then for each key the
// number of its elements and these.
Status ReadLegacy(std::span<const std::byte> bytes, PytorchFile* file) {
  const std::size_t all = bytes.size();
  RETURN_IF_ERROR(ReadNext(&bytes).status().WithContext("magic"));
  RETURN_IF_ERROR(ReadNext(&bytes).status().WithContext("version"));
  ASSIGN_OR_RETURN(const Pickle system, ReadNext(&bytes));
  const PickleValue* little = system.Find(system.root(), "little_endian");
  if (little == nullptr || little->kind != PickleKind::kFlag || !little->flag) {
    return Unimplemented("it does not say that its numbers are little-endian");
  }
  ASSIGN_OR_RETURN(const Pickle pickle, ReadNext(&bytes));
  ASSIGN_OR_RETURN(const Pickle keys, ReadNext(&bytes));
  ASSIGN_OR_RETURN(const auto sizes, ElementSizes(pickle, pickle.size()));
  Storages storages;
  for (const std::uint32_t place : keys.items(keys.root())) {
    const PickleValue& key = keys.at(place);
    const auto size = sizes.find(key.text);
    if (key.kind != PickleKind::kText || size == sizes.end()) {
      return Invalid("there is a storage ", Quote(key.text), " that nothing names");
    }
    if (bytes.size() < sizeof(std::uint64_t))
      return Invalid("storage ", Quote(key.text), " is cut off");
    const auto elements = Load<std::uint64_t>(bytes.data());
    bytes = bytes.subspan(sizeof(std::uint64_t));
    if (elements > bytes.size() / size->second) {
      return Invalid("storage ", Quote(key.text), " has ", elements, " elements, and the file ",
                     bytes.size(), " bytes more");
    }
    storages.emplace(key.text, bytes.first(elements * size->second));
    bytes = bytes.subspan(elements * size->second);
  }
  return TensorMaker(pickle, storages, all, file).Make();
}

// Protocol 2, and the ten bytes of 0x1950a86a20f9469cfc6c.
constexpr unsigned char kLegacyHead[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                         0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

bool IsLegacy(std::span<const std::byte> head) {
  return head.size() >= sizeof(kLegacyHead) &&
         std::memcmp(head.data(), kLegacyHead, sizeof(kLegacyHead)) == 0;
}

}  // namespace

bool IsPytorch(std::span<const std::byte> head) { return IsZip(head) || IsLegacy(head); }

Result<PytorchFile> ReadPytorch(std::span<const std::byte> bytes) {
  PytorchFile file;
  if (IsZip(bytes)) {
    file.zip = true;
    RETURN_IF_ERROR(ReadZipped(bytes, &file));
  } else if (IsLegacy(bytes)) {
    RETURN_IF_ERROR(ReadLegacy(bytes, &file));
  } else {
    return Invalid("it begins neither as a zip archive nor as PyTorch's older files");
  }
  return file;
}

}  // namespace bramble::model::files
