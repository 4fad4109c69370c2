#include "coordinator/api/embedding_request.h"

#include <nlohmann/json.hpp>
#include <string>

#include "coordinator/api/common_fields.h"
#include "coordinator/api/fields.h"
#include "coordinator/api/joined.h"
#include "model/text/tokenizer.h"

namespace bramble::coordinator {
namespace {

class InputReader {
 public:
  InputReader(Fields& fields, const ServedModel& model, std::uint32_t context,
              EmbeddingRequest& out)
      : fields_(fields), model_(model), context_(context), out_(out) {}

  // string | [string] | [id] | [[id]]
  void Read() {
    const Json* input = fields_.Find("input");
    if (input == nullptr) return fields_.Fail("input", "'input' is missing");
    if (input->is_string()) return ReadText(*input, "input");
    if (!input->is_array()) return Refuse(*input, "input");
    if (input->empty()) return fields_.Fail("input", "'input' is an empty array");
    if (input->front().is_number()) return ReadNumbers(*input, "input");
    if (input->size() > kMostInputs) {
      return fields_.Fail("input", Joined("'input' has ", input->size(), " entries, at most ",
                                          kMostInputs, " are answered at once"));
    }
    for (std::size_t i = 0; i < input->size() && !fields_.error(); ++i) {
      const std::string place = Joined("input[", i, "]");
      const Json& entry = (*input)[i];
      if (entry.is_string()) {
        ReadText(entry, place);
      } else if (entry.is_array() && !entry.empty()) {
        ReadNumbers(entry, place);
      } else {
        Refuse(entry, place);
      }
    }
  }

 private:
  void Refuse(const Json& value, const std::string& place) {
    fields_.Fail("input", Joined("'", place, "' must be a string or an array of ids, it is ",
                                 value.is_array() ? "empty" : Shown(value)));
  }

  void ReadText(const Json& text, const std::string& place) {
    if (model_.tokenizer == nullptr) {
      return fields_.Fail(
          "input", "the model '" + model_.name + "' has no tokenizer that can be used: send ids",
          "not_supported");
    }
    auto ids =
        model_.tokenizer->EncodePrompt(text.get<std::string>(), model::text::Specials::kAsText);
    if (!ids.ok()) return fields_.Fail("input", ids.status().message());
    Keep(*std::move(ids), place);
  }

  void ReadNumbers(const Json& numbers, const std::string& place) {
    std::vector<std::uint32_t> ids;
    fields_.Take(ReadIds(numbers, place, model_.vocabulary_size, ids));
    if (!fields_.error()) Keep(std::move(ids), place);
  }

  void Keep(std::vector<std::uint32_t> ids, const std::string& place) {
    if (ids.empty()) {
      return fields_.Fail("input", Joined("'", place, "' has no tokens"));
    }
    if (context_ > 0 && ids.size() > context_) {
      return fields_.Fail("input",
                          Joined("'", place, "' has ", ids.size(),
                                 " tokens, the model reads at most ", context_, " at once"),
                          "context_length_exceeded");
    }
    out_.inputs.push_back(std::move(ids));
  }

  Fields& fields_;
  const ServedModel& model_;
  const std::uint32_t context_;
  EmbeddingRequest& out_;
};

void ReadFormat(Fields& fields, EmbeddingRequest& out) {
  const std::string format = fields.Text("encoding_format").value_or("float");
  out.base64 = format == "base64";
  if (!out.base64 && format != "float") {
    fields.Fail("encoding_format", "'encoding_format' must be 'float' or 'base64'");
  }
}

}  // namespace

std::optional<ApiError> ReadEmbeddingRequest(const Json& body, const ServedModel& model,
                                             std::uint32_t context, EmbeddingRequest& out) {
  Fields fields(body);
  if (const auto name = fields.Text("model")) {
    fields.Take(CheckModelName(*name, model));
  } else {
    fields.Fail("model", "'model' is missing: say which model is to answer ('" + model.name + "')");
  }
  if (model.embedding_width == 0) {
    fields.Fail("model", "the model '" + model.name + "' gives no embeddings", "not_supported");
  }
  if (fields.error()) return fields.error();
  ReadFormat(fields, out);
  const auto dimensions = fields.Integer("dimensions", 1, model.embedding_width);
  out.dimensions = static_cast<std::uint32_t>(dimensions.value_or(model.embedding_width));
  if (!fields.error()) InputReader(fields, model, context, out).Read();
  return fields.error();
}

}  // namespace bramble::coordinator
