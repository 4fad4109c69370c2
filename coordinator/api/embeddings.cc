#include <nlohmann/json.hpp>

#include "coordinator/api/embedding_job.h"
#include "coordinator/api/endpoints.h"

namespace bramble::coordinator {

void ServeEmbeddings(const Call& call) {
  Json body;
  EmbeddingRequest request;
  auto error = ParseBody(call.request.body, body);
  if (!error) {
    error = ReadEmbeddingRequest(body, call.api.model, call.api.context_length(), request);
  }
  if (error) return call.exchange->Reply(ErrorReply(*error));
  std::make_shared<EmbeddingJob>(call.exchange, *call.api.generator, std::move(request),
                                 call.api.model.name, call.request.request_id)
      ->Start();
}

}  // namespace bramble::coordinator
