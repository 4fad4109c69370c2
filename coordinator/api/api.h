#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/api/http.h"
#include "coordinator/serve/generator.h"

namespace bramble::model {
class Model;
namespace text {
class ChatTemplate;
class Tokenizer;
}  // namespace text
}  // namespace bramble::model

namespace bramble::coordinator {

// The model that answers, as the API needs to know it. The pointers outlive the API.
struct ServedModel {
  std::string name;                                          // what `model` in a request must say
  std::vector<std::string> aliases;                          // or one of these
  std::int64_t created = 0;                                  // seconds since 1970
  const model::text::Tokenizer* tokenizer = nullptr;         // null: requests for text are refused
  const model::text::ChatTemplate* chat_template = nullptr;  // null: chats are refused
  std::uint32_t vocabulary_size = 0;
  std::uint32_t embedding_width = 0;  // 0: it gives no embeddings
  std::uint32_t trained_context_length = 0;
  std::uint64_t parameters = 0;
  std::uint64_t file_bytes = 0;
  // `system_fingerprint`: equal wherever the same program runs by the same arithmetic.
  std::string fingerprint;
};

// All of it from an open model, which outlives the result.
ServedModel DescribeModel(const model::Model& model, std::string name);

// What the API asks of the rest of the coordinator. The functions are called from the server's
// threads and must be quick and thread-safe.
struct ApiOptions {
  ServedModel model;
  Generator* generator = nullptr;
  // SHA-256 of each key, 64 hexadecimal digits; none: no key is asked for.
  std::vector<std::string> api_key_hashes;
  // Ids of prompt and answer together that can be served now; 0: none can.
  std::function<std::uint32_t()> context_length;
  std::function<Status()> health;        // ok: requests are served
  std::function<std::string()> metrics;  // Prometheus text, version 0.0.4
  std::function<std::string()> cluster;  // a JSON object: members, plan, state
  std::function<std::string()> targets;  // a JSON list: the workers' metrics, as http_sd wants it
  // Of every request for an answer: how many choices. May be empty.
  std::function<void(std::uint32_t n)> asked;
  // Of every request: the table's route ("/v1/models/{id}", "" for none), status, seconds. May be
  // empty.
  std::function<void(const std::string& route, unsigned status, double seconds)> observe;
};

// The routes of the API (routes.cc has the table) over one model. InvalidArgument: a key's hash is
// not one. Thread-safe.
Result<std::unique_ptr<HttpHandler>> MakeApi(ApiOptions options);

// The API keys of a file, hashed: one key a line, blank lines and lines that begin with '#' are
// skipped. A key has 16 to 512 visible ASCII characters.
Result<std::vector<std::string>> ReadApiKeyFile(const std::string& path);
// The hash of one key, as ApiOptions wants it.
std::string HashApiKey(std::string_view key);

}  // namespace bramble::coordinator
