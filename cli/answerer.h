#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "cli/http_client.h"
#include "cli/local_cluster.h"
#include "common/settings.h"
#include "common/status.h"

namespace bramble::cli {

// How an answer is to be drawn.
struct AnswerOptions {
  std::uint32_t max_tokens = 0;
  double temperature = 0;
  double top_p = 1;
  std::uint64_t seed = 0;
  bool plain = false;  // the text of the last message as it is, without the model's template
};

struct Answer {
  std::string text;
  std::uint32_t prompt_tokens = 0;
  std::uint32_t tokens = 0;
  double seconds_to_first_token = 0;
  double seconds = 0;  // all in all
};

// Whoever answers a conversation. Used from one thread.
class Answerer {
 public:
  virtual ~Answerer() = default;
  // `messages`: [{"role", "content"}, ...]. `on_text` hears the answer as it comes.
  virtual Result<Answer> Ask(const nlohmann::ordered_json& messages, const AnswerOptions& options,
                             const std::function<void(std::string_view)>& on_text) = 0;
};

// Over a cluster of this machine alone, which must outlive it.
std::unique_ptr<Answerer> MakeLocalAnswerer(LocalCluster& cluster);
// Over the HTTP side of a coordinator. `model`: as it is served; empty: whatever is.
Result<std::unique_ptr<Answerer>> MakeHttpAnswerer(const HttpServerAddress& address,
                                                   const std::string& model);

// From the settings max-tokens, temperature, top-p, seed, plain.
AnswerOptions AnswerOptionsFrom(const Settings& settings);

// "46 tokens in 1.21 s: 41.3 tokens a second, the first after 0.11 s".
std::string SpeedLine(const Answer& answer);

}  // namespace bramble::cli
