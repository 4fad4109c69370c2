#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/named.h"
#include "common/status.h"

namespace bramble::coordinator {

using RequestId = Named<struct RequestIdTag, std::uint64_t>;

// What to generate. Ids only: text, templates and stop strings belong to the caller.
struct GenerateRequest {
  std::vector<std::uint32_t> prompt_ids;  // at least one
  // Of a model that reads a source: the source, if the prompt is what stands before the answer.
  // Empty: the prompt is the source, and the model knows how an answer begins.
  std::vector<std::uint32_t> source_ids = {};
  std::vector<std::uint32_t> types = {};  // the token type of each prompt id; empty: all 0
  v1::Sampling sampling;
  std::uint32_t max_tokens = 0;  // 0: only score the prompt, draw nothing
  std::vector<std::uint32_t>
      end_ids;            // drawing one of these ends the answer; it is reported, as the last token
  bool logprobs = false;  // report each drawn id's log-probability
  std::uint32_t top_logprobs = 0;  // 0..20
  bool prompt_logprobs = false;    // report each prompt id's log-probability given those before it
  // Prompt positions whose logits are reported, rising; of a model that draws nothing, their last
  // hidden values.
  std::vector<std::uint32_t> logits_at;
  bool logits_of_tokens = false;  // report the logits that each id was drawn from
  // When it ends unfinished, with DeadlineExceeded.
  std::optional<std::chrono::steady_clock::time_point> deadline;
  std::string request_id;  // for the logs of every process
};

struct TokenProbability {
  std::uint32_t id = 0;
  double logprob = 0;
};

struct GeneratedToken {
  std::uint32_t id = 0;
  double logprob = 0;                 // with `logprobs`
  std::vector<TokenProbability> top;  // with `top_logprobs`, falling
  std::string logits;                 // with `logits_of_tokens`: little-endian f32
};

// Of one prompt position, with `prompt_logprobs` or `logits_at`.
struct PromptOutput {
  std::uint32_t position = 0;
  std::optional<double> next_logprob;  // of the prompt id at position + 1
  std::vector<TokenProbability> top;
  std::string logits;
};

// What a model makes of a whole prompt that it does not continue.
struct SequenceOutput {
  v1::ResultKind kind = v1::RESULT_KIND_UNSPECIFIED;
  std::string values;  // little-endian f32
};

enum class FinishReason { kEnd, kLength, kCancelled, kError };

struct GenerationEnd {
  FinishReason reason = FinishReason::kError;
  Status status;  // with kError
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_prompt_tokens = 0;
  std::uint32_t generated_tokens = 0;  // an end id counts
  double seconds_queued = 0;           // from Submit to the first step
  double seconds_to_first_token = 0;   // from Submit
  double seconds_total = 0;
};

// Hears what becomes of one request. Called on the generator's thread, never two calls at once;
// must not block and must not call back into the generator (Cancel excepted).
class GenerationSink {
 public:
  virtual ~GenerationSink() = default;
  virtual void OnPrompt(const PromptOutput& output) = 0;
  virtual void OnToken(const GeneratedToken& token) = 0;
  // Once for each vector that the model gives of a sequence. Whoever asks for text hears none.
  virtual void OnSequence(const SequenceOutput& output) { static_cast<void>(output); }
  // The last call.
  virtual void OnEnd(const GenerationEnd& end) = 0;
};

// What the API and the command line see of the cluster. Thread-safe.
class Generator {
 public:
  virtual ~Generator() = default;
  // The sink is called until OnEnd, unless Submit itself fails: InvalidArgument (a request that can
  // never run, with the limit in the message), ResourceExhausted (the queue is full: try later),
  // Unavailable (no plan is loaded).
  virtual Result<RequestId> Submit(GenerateRequest request,
                                   std::shared_ptr<GenerationSink> sink) = 0;
  // Ends the request soon, with kCancelled. Unknown or ended requests are ignored.
  virtual void Cancel(RequestId id) = 0;
};

}  // namespace bramble::coordinator
