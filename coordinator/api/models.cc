#include <nlohmann/json.hpp>

#include "coordinator/api/answer_writer.h"
#include "coordinator/api/common_fields.h"
#include "coordinator/api/endpoints.h"

namespace bramble::coordinator {
namespace {

// OpenAI's fields, then those that clients read from other servers (`max_model_len`, `meta`).
Json ModelJson(const ApiOptions& api, const std::string& name) {
  const ServedModel& model = api.model;
  return {{"id", name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "bramble"},
          {"root", model.name},
          {"parent", name == model.name ? Json(nullptr) : Json(model.name)},
          {"max_model_len", api.context_length()},
          {"meta",
           {{"n_vocab", model.vocabulary_size},
            {"n_ctx_train", model.trained_context_length},
            {"n_params", model.parameters},
            {"size", model.file_bytes}}}};
}

void Answer(const Call& call, const Json& body) {
  HttpReply reply;
  reply.body = Dump(body);
  call.exchange->Reply(std::move(reply));
}

}  // namespace

void ServeModels(const Call& call) {
  Json data = Json::array({ModelJson(call.api, call.api.model.name)});
  for (const std::string& alias : call.api.model.aliases)
    data.push_back(ModelJson(call.api, alias));
  Answer(call, {{"object", "list"}, {"data", std::move(data)}});
}

void ServeModel(const Call& call) {
  if (const auto error = CheckModelName(call.tail, call.api.model)) {
    return call.exchange->Reply(ErrorReply(*error));
  }
  Answer(call, ModelJson(call.api, call.tail));
}

}  // namespace bramble::coordinator
