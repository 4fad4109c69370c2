#include "model/text/chat_template.h"

#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "model/files/quote.h"
#include "model/text/jinja/interpreter.h"
#include "model/text/jinja/parser.h"
#include "model/text/utf8.h"

namespace bramble::model::text {
namespace {

using Json = nlohmann::ordered_json;
using jinja::Value;

constexpr std::size_t kMaxSourceBytes = 1 << 20;

// JSON as values of the language, all of it marked as the caller's.
class Importer {
 public:
  explicit Importer(std::uint32_t most_depth) : most_depth_(most_depth) {}

  // Undefined, and a status, if it lies too deep.
  Value Import(const Json& json, std::uint32_t depth) {
    bytes_ += sizeof(Value);
    switch (json.type()) {
      case Json::value_t::boolean:
        return Value(json.get<bool>());
      case Json::value_t::number_integer:
        return Value(json.get<std::int64_t>());
      case Json::value_t::number_unsigned: {
        const auto number = json.get<std::uint64_t>();
        constexpr std::uint64_t kLargest = 0x7fffffffffffffff;
        return number <= kLargest ? Value(static_cast<std::int64_t>(number))
                                  : Value(static_cast<double>(number));
      }
      case Json::value_t::number_float:
        return Value(json.get<double>());
      case Json::value_t::string:
        return Text(json.get_ref<const std::string&>());
      case Json::value_t::array:
      case Json::value_t::object:
        if (depth < most_depth_) return Nested(json, depth + 1);
        status_ = Invalid("messages, tools or variables lie more than ", most_depth_,
                          " deep in each other");
        return {};
      default:
        return Value(jinja::None{});
    }
  }

  const Status& status() const { return status_; }
  std::size_t bytes() const { return bytes_; }

 private:
  Value Text(const std::string& text) {
    bytes_ += text.size();
    return jinja::MakeText(IsUtf8(text) ? text : ReplaceInvalidUtf8(text), false);
  }

  Value Nested(const Json& json, std::uint32_t depth) {
    if (json.is_array()) {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(Import(item, depth));
      return jinja::MakeList(std::move(items));
    }
    jinja::Dict dict;
    for (const auto& [key, value] : json.items()) dict.Set(Text(key), Import(value, depth));
    return jinja::MakeDict(std::move(dict));
  }

  std::uint32_t most_depth_;
  std::size_t bytes_ = 0;
  Status status_;
};

std::tm LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

Status CheckInputs(const Json& messages, const Json& tools, const Json* variables) {
  if (!messages.is_array()) return Invalid("messages must be an array");
  if (!tools.is_array() && !tools.is_null()) return Invalid("tools must be an array");
  if (variables == nullptr || variables->is_null()) return {};
  if (!variables->is_object()) return Invalid("the variables of a chat template must be an object");
  for (const char* ours : {"messages", "tools", "bos_token", "eos_token"}) {
    if (variables->contains(ours))
      return Invalid("the chat template's variable '", ours, "' cannot be set by a request");
  }
  return {};
}

}  // namespace

struct ChatTemplate::Parsed {
  jinja::Body body;
};

ChatTemplate::ChatTemplate(std::string source, std::unique_ptr<Parsed> parsed)
    : source_(std::move(source)), parsed_(std::move(parsed)) {}
ChatTemplate::~ChatTemplate() = default;

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::Parse(std::string_view source) {
  if (source.size() > kMaxSourceBytes) {
    return Invalid("the chat template has ", source.size(), " bytes, at most ", kMaxSourceBytes,
                   " are allowed");
  }
  if (!IsUtf8(source)) return Invalid("the chat template is not UTF-8");
  ASSIGN_OR_RETURN(jinja::Body body, jinja::ParseTemplate(source));
  auto parsed = std::make_unique<Parsed>(Parsed{std::move(body)});
  return std::unique_ptr<ChatTemplate>(new ChatTemplate(std::string(source), std::move(parsed)));
}

Result<std::vector<MarkedText>> ChatTemplate::Render(const Json& messages, const Json& tools,
                                                     const ChatArguments& arguments) const {
  RETURN_IF_ERROR(CheckInputs(messages, tools, arguments.variables));
  Importer importer(arguments.budget.depth);
  std::unordered_map<std::string, Value> variables;
  variables["documents"] = Value(jinja::None{});
  variables["add_generation_prompt"] = Value(arguments.add_generation_prompt);
  if (arguments.variables != nullptr) {
    for (const auto& [name, value] : arguments.variables->items())
      variables[name] = importer.Import(value, 0);
  }
  variables["messages"] = importer.Import(messages, 0);
  variables["tools"] = importer.Import(tools, 0);
  variables["bos_token"] = jinja::MakeText(arguments.bos_token, true);
  variables["eos_token"] = jinja::MakeText(arguments.eos_token, true);
  RETURN_IF_ERROR(importer.status());

  // A long conversation is joined piece by piece: what that takes grows with it.
  const std::size_t value_bytes = arguments.budget.value_bytes + 16 * importer.bytes();
  jinja::Context context(arguments.budget.steps + importer.bytes(), value_bytes,
                         arguments.budget.depth,
                         arguments.now.has_value() ? *arguments.now : LocalTime());
  jinja::Interpreter interpreter(context, std::move(variables), arguments.budget.output_bytes);
  const jinja::MarkedString output = interpreter.Run(parsed_->body);
  if (context.failed()) return context.status();
  return output.Stretches();
}

}  // namespace bramble::model::text
