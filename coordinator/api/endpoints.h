#pragma once

#include <memory>
#include <string>
#include <vector>

#include "coordinator/api/api.h"
#include "coordinator/api/http.h"

namespace bramble::coordinator {

// What an endpoint is given. The request's path has been matched; `tail` is what stood for {id},
// percent-decoded.
struct Call {
  const ApiOptions& api;
  const HttpRequest& request;
  const std::string& tail;
  std::shared_ptr<Exchange> exchange;
};

// The endpoints, one each: they answer through the exchange, now or later. Called on its strand.
void ServeChat(const Call& call);         // POST /v1/chat/completions   chat.cc
void ServeCompletions(const Call& call);  // POST /v1/completions        completions.cc
void ServeEmbeddings(const Call& call);   // POST /v1/embeddings         embeddings.cc
void ServeModels(const Call& call);       // GET  /v1/models             models.cc
void ServeModel(const Call& call);        // GET  /v1/models/{id}        models.cc
void ServeTokenize(const Call& call);     // POST /tokenize              tokenize.cc
void ServeDetokenize(const Call& call);   // POST /detokenize            tokenize.cc
void ServeHealth(const Call& call);       // GET  /health                status.cc
void ServeMetrics(const Call& call);      // GET  /metrics               status.cc
void ServeVersion(const Call& call);      // GET  /version               status.cc
void ServeCluster(const Call& call);      // GET  /bramble/v1/cluster    status.cc
void ServeTargets(const Call& call);      // GET  /bramble/v1/sd         status.cc

}  // namespace bramble::coordinator
