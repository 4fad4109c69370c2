#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/api/http.h"
#include "coordinator/serve/generator.h"

namespace bramble::model::text {
class ChatTemplate;
class Tokenizer;
}  // namespace bramble::model::text

namespace bramble::coordinator {

// The model that answers, as the API needs to know it. The pointers outlive the API.
struct ServedModel {
  std::string name;                  // what `model` in a request must say
  std::vector<std::string> aliases;  // or one of these
  std::int64_t created = 0;          // seconds since 1970
  const model::text::Tokenizer* tokenizer =
      nullptr;  // null: prompts are ids, answers are refused as text
  const model::text::ChatTemplate* chat_template =
      nullptr;                       // null: /v1/chat/completions is refused with the reason
  std::uint32_t context_length = 0;  // ids of prompt and answer together
  std::uint32_t vocabulary_size = 0;
  std::string fingerprint;  // of the program; hashed into `system_fingerprint`
};

// What the API asks of the rest of the coordinator. The functions are called from the server's
// threads and must be quick and thread-safe.
struct ApiOptions {
  ServedModel model;
  Generator* generator = nullptr;
  std::vector<std::string>
      api_key_hashes;   // SHA-256 of each key, 64 hexadecimal digits; none: no key is asked for
  std::string version;  // of the program
  std::function<Status()> health;        // ok: requests are served
  std::function<std::string()> metrics;  // Prometheus text, version 0.0.4
  std::function<std::string()> cluster;  // a JSON object: members, plan, state
  // Of every request: route ("/v1/models/{id}", "" for none), status, seconds. May be empty.
  std::function<void(const std::string& route, unsigned status, double seconds)> observe;
};

// The routes of the API (routes.cc has the table) over one model. Thread-safe.
std::unique_ptr<HttpHandler> MakeApi(ApiOptions options);

}  // namespace bramble::coordinator
