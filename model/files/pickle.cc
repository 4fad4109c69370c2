#include "model/files/pickle.h"

#include <bit>
#include <optional>
#include <unordered_map>
#include <utility>

#include "model/files/little_endian.h"
#include "model/files/quote.h"

namespace bramble::model::files {
namespace {

constexpr std::size_t kMostValues = std::size_t{1} << 20;
constexpr std::size_t kMostOperations = std::size_t{1} << 23;
constexpr std::size_t kMostText = std::size_t{1} << 24;

// What the result of a named function looks like.
enum class Meaning : std::uint8_t {
  kType,         // a type of storages or numbers: only a name
  kDict,         // an empty dict
  kAttributes,   // an object that is its attributes
  kTensor,       // storage, offset, sizes, strides, ...
  kTypedTensor,  // ..., and its type as the seventh
  kFirst,        // its first argument
  kNothing,      // nothing that a model needs
};

struct KnownName {
  std::string_view module;
  std::string_view name;
  std::string_view full;
  Meaning meaning;
};

// All names that a file may use. None of them is ever looked up in anything but this table.
constexpr KnownName kNames[] = {
    {"collections", "OrderedDict", "collections.OrderedDict", Meaning::kDict},
    {"argparse", "Namespace", "argparse.Namespace", Meaning::kAttributes},
    {"torch._utils", "_rebuild_tensor", "torch._utils._rebuild_tensor", Meaning::kTensor},
    {"torch._utils", "_rebuild_tensor_v2", "torch._utils._rebuild_tensor_v2", Meaning::kTensor},
    {"torch._utils", "_rebuild_tensor_v3", "torch._utils._rebuild_tensor_v3",
     Meaning::kTypedTensor},
    {"torch._utils", "_rebuild_parameter", "torch._utils._rebuild_parameter", Meaning::kFirst},
    {"torch", "Size", "torch.Size", Meaning::kFirst},
    {"torch", "device", "torch.device", Meaning::kNothing},
    {"torch", "FloatStorage", "torch.FloatStorage", Meaning::kType},
    {"torch", "HalfStorage", "torch.HalfStorage", Meaning::kType},
    {"torch", "BFloat16Storage", "torch.BFloat16Storage", Meaning::kType},
    {"torch", "DoubleStorage", "torch.DoubleStorage", Meaning::kType},
    {"torch", "LongStorage", "torch.LongStorage", Meaning::kType},
    {"torch", "IntStorage", "torch.IntStorage", Meaning::kType},
    {"torch", "ShortStorage", "torch.ShortStorage", Meaning::kType},
    {"torch", "CharStorage", "torch.CharStorage", Meaning::kType},
    {"torch", "ByteStorage", "torch.ByteStorage", Meaning::kType},
    {"torch", "BoolStorage", "torch.BoolStorage", Meaning::kType},
    {"torch.storage", "UntypedStorage", "torch.storage.UntypedStorage", Meaning::kType},
    {"torch", "float32", "torch.float32", Meaning::kType},
    {"torch", "float16", "torch.float16", Meaning::kType},
    {"torch", "bfloat16", "torch.bfloat16", Meaning::kType},
    {"torch", "float64", "torch.float64", Meaning::kType},
    {"torch", "int64", "torch.int64", Meaning::kType},
    {"torch", "int32", "torch.int32", Meaning::kType},
    {"torch", "int16", "torch.int16", Meaning::kType},
    {"torch", "int8", "torch.int8", Meaning::kType},
    {"torch", "uint8", "torch.uint8", Meaning::kType},
    {"torch", "bool", "torch.bool", Meaning::kType},
    {"torch", "float8_e4m3fn", "torch.float8_e4m3fn", Meaning::kType},
    {"numpy", "dtype", "numpy.dtype", Meaning::kNothing},
    {"numpy", "ndarray", "numpy.ndarray", Meaning::kNothing},
    {"numpy.core.multiarray", "scalar", "numpy.core.multiarray.scalar", Meaning::kNothing},
    {"numpy.core.multiarray", "_reconstruct", "numpy.core.multiarray._reconstruct",
     Meaning::kNothing},
    {"numpy._core.multiarray", "scalar", "numpy._core.multiarray.scalar", Meaning::kNothing},
    {"numpy._core.multiarray", "_reconstruct", "numpy._core.multiarray._reconstruct",
     Meaning::kNothing},
    {"_codecs", "encode", "_codecs.encode", Meaning::kNothing},
};

}  // namespace

// The machine of one pickle: a stack of places of values, marks in it, a memo.
class PickleReader {
 public:
  explicit PickleReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  Result<Pickle> Read(std::size_t* length) {
    for (std::size_t i = 0; !stopped_; ++i) {
      if (i >= kMostOperations) return Invalid("more than ", kMostOperations, " operations");
      const std::size_t at = at_;
      const Status status = Step();
      if (!status.ok()) return status.WithContext("pickle, byte " + std::to_string(at));
    }
    *length = at_;
    return std::move(pickle_);
  }

 private:
  using Place = std::uint32_t;

  Status Step() {
    ASSIGN_OR_RETURN(const auto code, Number<std::uint8_t>());
    switch (code) {
      case 0x80:  // PROTO
        return Skip(1);
      case 0x95:  // FRAME
        return Skip(8);
      case 'N':
        return Push({});
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        return Push({.kind = PickleKind::kFlag, .flag = code == 0x88});
      case 'J':
        return PushWhole<std::int32_t>();
      case 'K':
        return PushWhole<std::uint8_t>();
      case 'M':
        return PushWhole<std::uint16_t>();
      case 0x8a:  // LONG1
        return PushLong<std::uint8_t>();
      case 0x8b:  // LONG4
        return PushLong<std::uint32_t>();
      case 'G':
        return PushReal();
      case 'X':  // BINUNICODE
      case 'B':  // BINBYTES
      case 'T':  // BINSTRING
        return PushText<std::uint32_t>();
      case 0x8c:  // SHORT_BINUNICODE
      case 'C':   // SHORT_BINBYTES
      case 'U':   // SHORT_BINSTRING
        return PushText<std::uint8_t>();
      case 0x8d:  // BINUNICODE8
      case 0x8e:  // BINBYTES8
        return PushText<std::uint64_t>();
      case ']':
      case ')':
      case 0x8f:  // EMPTY_SET
        return PushItems(PickleKind::kList, {});
      case '}':
        return PushItems(PickleKind::kDict, {});
      case '(':
        marks_.push_back(stack_.size());
        return marks_.size() > kMostValues ? Invalid("too many marks") : Status();
      case 't':
      case 'l':
        return CloseList();
      case 0x85:  // TUPLE1
      case 0x86:
      case 0x87:
        return PushTuple(code - 0x84U);
      case 'a':  // APPEND
        return Extend(1);
      case 'e':   // APPENDS
      case 0x90:  // ADDITEMS
        return ExtendToMark(1);
      case 's':  // SETITEM
        return Extend(2);
      case 'u':  // SETITEMS
        return ExtendToMark(2);
      default:
        return StepOfNames(code);
    }
  }

  Status StepOfNames(std::uint8_t code) {
    switch (code) {
      case 'q':  // BINPUT
        return Memoize<std::uint8_t>();
      case 'r':
        return Memoize<std::uint32_t>();
      case 0x94:  // MEMOIZE
        return Remember(static_cast<std::uint32_t>(memo_.size()));
      case 'h':  // BINGET
        return Recall<std::uint8_t>();
      case 'j':
        return Recall<std::uint32_t>();
      case 'c':  // GLOBAL
        return PushName();
      case 0x93:  // STACK_GLOBAL
        return NameFromStack();
      case 'R':   // REDUCE
      case 0x81:  // NEWOBJ
        return Build();
      case 'b':  // BUILD
        return SetState();
      case 'Q':  // BINPERSID
        return PushStorage();
      case '.':
        return Stop();
      default:
        return Unimplemented("operation ", static_cast<int>(code),
                             " is not one that PyTorch writes");
    }
  }

  // Reading.
  Status Skip(std::size_t count) {
    if (count > bytes_.size() - at_) return Invalid("it is cut off");
    at_ += count;
    return {};
  }

  template <typename T>
  Result<T> Number() {
    if (sizeof(T) > bytes_.size() - at_) return Invalid("it is cut off");
    at_ += sizeof(T);
    return Load<T>(bytes_.data() + at_ - sizeof(T));
  }

  Result<std::string_view> Text(std::uint64_t size) {
    if (size > kMostText) return Invalid("a text of ", size, " bytes, the limit is ", kMostText);
    const std::size_t begin = at_;
    RETURN_IF_ERROR(Skip(size));
    return std::string_view(reinterpret_cast<const char*>(bytes_.data()) + begin, size);
  }

  Result<std::string_view> Line() {
    const std::string_view rest(reinterpret_cast<const char*>(bytes_.data()) + at_,
                                std::min(bytes_.size() - at_, std::size_t{1024}));
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return Invalid("a line does not end");
    at_ += end + 1;
    return rest.substr(0, end);
  }

  // The stack.
  Result<Place> Keep(const PickleValue& value) {
    if (pickle_.values_.size() >= kMostValues) {
      return Exhausted("more than ", kMostValues, " values, which is the limit");
    }
    pickle_.values_.push_back(value);
    return static_cast<Place>(pickle_.values_.size() - 1);
  }

  Status PushPlace(Place place) {
    if (stack_.size() >= kMostValues) return Exhausted("a stack of more than ", kMostValues);
    stack_.push_back(place);
    return {};
  }

  Status Push(const PickleValue& value) {
    ASSIGN_OR_RETURN(const Place place, Keep(value));
    return PushPlace(place);
  }

  Status PushItems(PickleKind kind, std::vector<Place> items, bool attributes = false) {
    pickle_.lists_.push_back(std::move(items));
    return Push({.kind = kind,
                 .flag = attributes,
                 .list = static_cast<std::uint32_t>(pickle_.lists_.size() - 1)});
  }

  // Places below the last mark are out of reach.
  Result<Place> Pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) return Invalid("the stack is empty");
    const Place place = stack_.back();
    stack_.pop_back();
    return place;
  }

  Result<std::vector<Place>> PopToMark() {
    if (marks_.empty()) return Invalid("there is no mark");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    marks_.pop_back();
    std::vector<Place> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    return items;
  }

  const PickleValue& At(Place place) const { return pickle_.values_[place]; }

  // Values.
  template <typename T>
  Status PushWhole() {
    ASSIGN_OR_RETURN(const T number, Number<T>());
    return Push({.kind = PickleKind::kWhole, .whole = number});
  }

  // Numbers of more than 64 bits are not numbers to us.
  template <typename T>
  Status PushLong() {
    ASSIGN_OR_RETURN(const T size, Number<T>());
    ASSIGN_OR_RETURN(const std::string_view bytes, Text(size));
    if (size > 8) return Push({.kind = PickleKind::kOther, .text = bytes});
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < size; ++i) {
      number |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    }
    if (size > 0 && size < 8 && (static_cast<std::uint8_t>(bytes[size - 1]) & 0x80U) != 0) {
      number |= ~std::uint64_t{0} << (8 * size);
    }
    return Push({.kind = PickleKind::kWhole, .whole = static_cast<std::int64_t>(number)});
  }

  Status PushReal() {
    ASSIGN_OR_RETURN(const auto bits, Number<std::uint64_t>());
    return Push(
        {.kind = PickleKind::kReal, .real = std::bit_cast<double>(__builtin_bswap64(bits))});
  }

  template <typename T>
  Status PushText() {
    ASSIGN_OR_RETURN(const T size, Number<T>());
    ASSIGN_OR_RETURN(const std::string_view text, Text(size));
    return Push({.kind = PickleKind::kText, .text = text});
  }

  Status CloseList() {
    ASSIGN_OR_RETURN(auto items, PopToMark());
    return PushItems(PickleKind::kList, std::move(items));
  }

  Status PushTuple(std::size_t count) {
    std::vector<Place> items(count);
    for (std::size_t i = count; i-- > 0;) {
      ASSIGN_OR_RETURN(items[i], Pop());
    }
    return PushItems(PickleKind::kList, std::move(items));
  }

  // Copies of items cost more than the bytes that ask for them.
  Status Spend(std::size_t items) {
    spent_ += items;
    if (spent_ <= kMostOperations) return {};
    return Exhausted("more than ", kMostOperations, " items are moved about");
  }

  // Adds to the list (`step` 1) or dict (2) that lies below `items`.
  Status AddItems(std::size_t step, const std::vector<Place>& items) {
    ASSIGN_OR_RETURN(const Place container, Pop());
    const PickleValue& value = At(container);
    const PickleKind needed = step == 1 ? PickleKind::kList : PickleKind::kDict;
    if (value.kind == PickleKind::kOther) return PushPlace(container);
    if (value.kind != needed) return Invalid("items are added to what has none");
    if (items.size() % step != 0) return Invalid("a key without a value");
    RETURN_IF_ERROR(Spend(items.size()));
    std::vector<Place>& list = pickle_.lists_[value.list];
    list.insert(list.end(), items.begin(), items.end());
    return PushPlace(container);
  }

  Status Extend(std::size_t step) {
    std::vector<Place> items(step);
    for (std::size_t i = step; i-- > 0;) {
      ASSIGN_OR_RETURN(items[i], Pop());
    }
    return AddItems(step, items);
  }

  Status ExtendToMark(std::size_t step) {
    ASSIGN_OR_RETURN(const auto items, PopToMark());
    return AddItems(step, items);
  }

  // The memo.
  Status Remember(std::uint32_t key) {
    if (memo_.size() >= kMostValues) return Exhausted("a memo of more than ", kMostValues);
    ASSIGN_OR_RETURN(const Place place, Pop());
    memo_[key] = place;
    return PushPlace(place);
  }

  template <typename T>
  Status Memoize() {
    ASSIGN_OR_RETURN(const T key, Number<T>());
    return Remember(key);
  }

  template <typename T>
  Status Recall() {
    ASSIGN_OR_RETURN(const T key, Number<T>());
    const auto found = memo_.find(key);
    if (found == memo_.end()) return Invalid("the memo has nothing at ", std::uint32_t{key});
    return PushPlace(found->second);
  }

  // Names, and what would be called.
  Status PushKnown(std::string_view module, std::string_view name) {
    for (const KnownName& known : kNames) {
      if (known.module != module || known.name != name) continue;
      return Push({.kind = PickleKind::kName, .whole = &known - kNames, .text = known.full});
    }
    return Unimplemented(
        "the file wants ", Quote(module), " ", Quote(name),
        " of Python, which is not among the names that weights need; nothing of it "
        "has been run");
  }

  Status PushName() {
    ASSIGN_OR_RETURN(const std::string_view module, Line());
    ASSIGN_OR_RETURN(const std::string_view name, Line());
    return PushKnown(module, name);
  }

  Status NameFromStack() {
    ASSIGN_OR_RETURN(const Place name, Pop());
    ASSIGN_OR_RETURN(const Place module, Pop());
    if (At(name).kind != PickleKind::kText || At(module).kind != PickleKind::kText) {
      return Invalid("a name that is no text");
    }
    return PushKnown(At(module).text, At(name).text);
  }

  Status Build() {
    ASSIGN_OR_RETURN(const Place arguments, Pop());
    ASSIGN_OR_RETURN(const Place function, Pop());
    if (At(function).kind != PickleKind::kName || At(arguments).kind != PickleKind::kList) {
      return Invalid("something is called that is no name, or without arguments");
    }
    const KnownName& known = kNames[At(function).whole];
    RETURN_IF_ERROR(Spend(pickle_.lists_[At(arguments).list].size()));
    const std::vector<Place> items = pickle_.lists_[At(arguments).list];
    switch (known.meaning) {
      case Meaning::kDict:
      case Meaning::kAttributes:
        if (!items.empty()) return Unimplemented(known.full, " with arguments");
        return PushItems(PickleKind::kDict, {}, known.meaning == Meaning::kAttributes);
      case Meaning::kTensor:
        return PushTensor(items, {});
      case Meaning::kTypedTensor:
        if (items.size() < 7) return Invalid(known.full, " has ", items.size(), " arguments");
        return PushTensor(items, At(items[6]).text);
      case Meaning::kFirst:
        if (items.empty()) return Invalid(known.full, " without arguments");
        return PushPlace(items[0]);
      case Meaning::kNothing:
        return Push({.kind = PickleKind::kOther});
      case Meaning::kType:
        break;
    }
    return Invalid(known.full, " is called, and is only a name");
  }

  Status PushTensor(const std::vector<Place>& items, std::string_view type) {
    if (items.size() < 4 || At(items[0]).kind != PickleKind::kStorage ||
        At(items[1]).kind != PickleKind::kWhole || At(items[2]).kind != PickleKind::kList ||
        At(items[3]).kind != PickleKind::kList) {
      return Invalid("a tensor is not a storage, an offset, sizes and strides");
    }
    const std::int64_t offset = At(items[1]).whole;
    RETURN_IF_ERROR(PushItems(PickleKind::kTensor, {items[0], items[2], items[3]}));
    pickle_.values_.back().whole = offset;
    pickle_.values_.back().text = type;
    return {};
  }

  Status SetState() {
    ASSIGN_OR_RETURN(const Place state, Pop());
    ASSIGN_OR_RETURN(const Place object, Pop());
    const PickleValue& value = At(object);
    if (value.kind == PickleKind::kDict && value.flag && At(state).kind == PickleKind::kDict) {
      RETURN_IF_ERROR(Spend(pickle_.lists_[At(state).list].size()));
      const std::vector<Place> attributes = pickle_.lists_[At(state).list];
      std::vector<Place>& list = pickle_.lists_[value.list];
      list.insert(list.end(), attributes.begin(), attributes.end());
    } else if (value.kind != PickleKind::kDict && value.kind != PickleKind::kOther &&
               value.kind != PickleKind::kTensor) {
      return Invalid("a state is given to what has none");
    }
    return PushPlace(object);
  }

  // ('storage', type, key, location, elements[, None])
  Status PushStorage() {
    ASSIGN_OR_RETURN(const Place id, Pop());
    if (At(id).kind != PickleKind::kList) return Invalid("a storage's id is no tuple");
    RETURN_IF_ERROR(Spend(pickle_.lists_[At(id).list].size()));
    const std::vector<Place> items = pickle_.lists_[At(id).list];
    if (items.size() < 5 || At(items[0]).text != "storage" ||
        At(items[1]).kind != PickleKind::kName || At(items[2]).kind != PickleKind::kText ||
        At(items[4]).kind != PickleKind::kWhole || At(items[4]).whole < 0) {
      return Invalid("a storage's id is not its type, key, place and size");
    }
    if (items.size() > 5 && At(items[5]).kind != PickleKind::kNone) {
      return Unimplemented("a storage that is a part of another one");
    }
    RETURN_IF_ERROR(PushItems(PickleKind::kStorage, {items[1]}));
    pickle_.values_.back().whole = At(items[4]).whole;
    pickle_.values_.back().text = At(items[2]).text;
    return {};
  }

  Status Stop() {
    ASSIGN_OR_RETURN(pickle_.root_, Pop());
    stopped_ = true;
    return {};
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  bool stopped_ = false;
  std::size_t spent_ = 0;
  Pickle pickle_;
  std::vector<Place> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint32_t, Place> memo_;
};

Result<Pickle> Pickle::Read(std::span<const std::byte> bytes, std::size_t* length) {
  return PickleReader(bytes).Read(length);
}

std::span<const std::uint32_t> Pickle::items(const PickleValue& value) const {
  switch (value.kind) {
    case PickleKind::kList:
    case PickleKind::kDict:
    case PickleKind::kStorage:
    case PickleKind::kTensor:
      return lists_[value.list];
    default:
      return {};
  }
}

const PickleValue* Pickle::Find(const PickleValue& dict, std::string_view key) const {
  if (dict.kind != PickleKind::kDict) return nullptr;
  const auto entries = items(dict);
  for (std::size_t i = 0; i + 1 < entries.size(); i += 2) {
    const PickleValue& name = at(entries[i]);
    if (name.kind == PickleKind::kText && name.text == key) return &at(entries[i + 1]);
  }
  return nullptr;
}

}  // namespace bramble::model::files
