#include "coordinator/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <map>
#include <utility>

#include "common/mutex.h"
#include "common/process_metrics.h"

namespace bramble::coordinator {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;
using Buckets = Histogram::BucketBoundaries;
using Labels = prometheus::Labels;

// The buckets of vLLM 0.33 (vllm/v1/metrics/buckets.py): its dashboards are asked over both
// servers.
const Buckets& LatencyBuckets() {
  static const Buckets buckets = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,  20,
                                  30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680};
  return buckets;
}
const Buckets& FirstTokenBuckets() {
  static const Buckets buckets = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75,
                                  1,     2.5,   5,    7.5,  10,   20,   40,   80,  160,  640, 2560};
  return buckets;
}
const Buckets& NextTokenBuckets() {
  static const Buckets buckets = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                  0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80};
  return buckets;
}
const Buckets& StepRowBuckets() {
  static const Buckets buckets = {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384};
  return buckets;
}
const Buckets& StepSecondsBuckets() {
  static const Buckets buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                  0.025,  0.05,    0.1,    0.25,  0.5,    1,     2.5};
  return buckets;
}
const Buckets& ChoiceBuckets() {
  static const Buckets buckets = {1, 2, 5, 10, 20};
  return buckets;
}
// 1, 2, 5, 10, ... up to the longest sequence.
Buckets TokenBuckets(std::uint32_t context_length) {
  Buckets buckets;
  for (std::uint64_t power = 1; power <= context_length; power *= 10) {
    for (const std::uint64_t digit : {1U, 2U, 5U}) {
      if (digit * power <= context_length) buckets.push_back(static_cast<double>(digit * power));
    }
  }
  return buckets;
}

const char* ReasonName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kEnd:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kError:
      break;
  }
  return "error";
}

}  // namespace

struct Metrics::Families {
  Families(std::string model_name, std::uint32_t context_length)
      : model(std::move(model_name)), tokens(TokenBuckets(context_length)) {}

  Counter& Count(const char* name, const char* help, const Labels& labels = {}) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
  }
  Gauge& Level(const char* name, const char* help, const Labels& labels = {}) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
  }
  Histogram& Spread(const char* name, const char* help, const Buckets& buckets,
                    const Labels& labels = {}) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels,
                                                                                     buckets);
  }
  // One series a member.
  Family<Gauge>& OfMembers(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
  }
  // Of the series that vLLM has too: its two labels, and one more.
  Labels Vllm(const std::string& key = "", const std::string& value = "") const {
    Labels labels{{"model_name", model}, {"engine", "0"}};
    if (!key.empty()) labels.emplace(key, value);
    return labels;
  }
  void CreateKnownLabels();

  const std::string model;
  const Buckets tokens;
  Registry registry;

  // Ours.
  Counter& steps = Count("bramble_steps_total", "Steps sent to the first stage.");
  Counter& generated = Count("bramble_generated_tokens_total", "Ids drawn.");
  Counter& prompt = Count("bramble_prompt_tokens_total", "Prompt ids of requests, cached or not.");
  Counter& lost = Count("bramble_workers_lost_total", "Workers that a serving plan lost.");
  Gauge& epoch = Level("bramble_plan_epoch", "Number of the plan that serves; 0 while none does.");
  Gauge& expected = Level("bramble_plan_slowest_stage_seconds",
                          "Expected time of one decoded row in the slowest stage.");
  Gauge& members = Level("bramble_members_present", "Workers heard from within the last second.");
  Gauge& in_flight = Level("bramble_steps_in_flight", "Steps sent and not yet answered.");
  Gauge& pages = Level("bramble_pages", "Key-value pages of the plan.");
  Gauge& pages_used = Level("bramble_pages_in_use", "Key-value pages of running sequences.");
  Gauge& pages_kept = Level("bramble_pages_kept", "Key-value pages kept for equal beginnings.");
  Gauge& stages_planned = Level("bramble_plan_stages", "Stages of the plan that serves.");
  Family<Gauge>& member_present =
      OfMembers("bramble_member_present", "1 while the worker is heard from.");
  Family<Gauge>& member_epoch =
      OfMembers("bramble_member_epoch", "Number of the plan that the worker holds; 0 for none.");
  Family<Gauge>& member_round_trip =
      OfMembers("bramble_member_round_trip_seconds", "Round trip of the worker's last heartbeat.");
  Family<Gauge>& member_available = OfMembers("bramble_member_memory_available_bytes",
                                              "Memory that the worker's machine could still give.");
  Family<Gauge>& member_celsius =
      OfMembers("bramble_member_temperature_celsius", "The worker's hottest thermal zone.");
  Family<Gauge>& member_undervoltage =
      OfMembers("bramble_member_undervoltage", "1 if the worker's supply fell below its limit.");
  Family<Gauge>& member_throttled =
      OfMembers("bramble_member_throttled", "1 while the worker's firmware slows its board.");
  Family<Gauge>& stage_bytes = prometheus::BuildGauge()
                                   .Name("bramble_stage_memory_bytes")
                                   .Help("Planned memory of a stage.")
                                   .Register(registry);
  Family<Histogram>& step_seconds = prometheus::BuildHistogram()
                                        .Name("bramble_step_seconds")
                                        .Help("Time that a stage computed one step.")
                                        .Register(registry);
  Family<Histogram>& step_wait = prometheus::BuildHistogram()
                                     .Name("bramble_step_wait_seconds")
                                     .Help("Time that a step waited at a stage before it started.")
                                     .Register(registry);
  Family<Counter>& refused = prometheus::BuildCounter()
                                 .Name("bramble_requests_refused_total")
                                 .Help("Requests refused on arrival.")
                                 .Register(registry);
  Family<Counter>& http = prometheus::BuildCounter()
                              .Name("bramble_http_requests_total")
                              .Help("HTTP requests answered.")
                              .Register(registry);
  Family<Histogram>& http_seconds = prometheus::BuildHistogram()
                                        .Name("bramble_http_request_seconds")
                                        .Help("Time from a request's head to the end of its reply.")
                                        .Register(registry);

  // vLLM's.
  Gauge& running = Level("vllm:num_requests_running", "Requests with a place.", Vllm());
  Gauge& waiting = Level("vllm:num_requests_waiting", "Requests that wait for a place.", Vllm());
  Gauge& usage = Level("vllm:kv_cache_usage_perc", "Pages in use, 1 is all.", Vllm());
  Counter& prefix_queries =
      Count("vllm:prefix_cache_queries_total", "Prompt ids looked up in kept pages.", Vllm());
  Counter& prefix_hits =
      Count("vllm:prefix_cache_hits_total", "Prompt ids found in kept pages.", Vllm());
  Counter& prompt_cached =
      Count("vllm:prompt_tokens_cached_total", "Prompt ids found in kept pages.", Vllm());
  Counter& preemptions =
      Count("vllm:num_preemptions_total", "Sequences that had to make room.", Vllm());
  Counter& vllm_prompt = Count("vllm:prompt_tokens_total", "Prompt ids.", Vllm());
  Counter& vllm_generated = Count("vllm:generation_tokens_total", "Ids drawn.", Vllm());
  Family<Counter>& success = prometheus::BuildCounter()
                                 .Name("vllm:request_success_total")
                                 .Help("Requests ended, by reason.")
                                 .Register(registry);
  Histogram& iteration =
      Spread("vllm:iteration_tokens_total", "Rows of a step.", StepRowBuckets(), Vllm());
  Histogram& first_token = Spread("vllm:time_to_first_token_seconds",
                                  "From arrival to the first id.", FirstTokenBuckets(), Vllm());
  Histogram& next_token = Spread("vllm:inter_token_latency_seconds", "From one id to the next.",
                                 NextTokenBuckets(), Vllm());
  Histogram& per_token =
      Spread("vllm:request_time_per_output_token_seconds", "Decoding time of a request by its ids.",
             NextTokenBuckets(), Vllm());
  Histogram& total = Spread("vllm:e2e_request_latency_seconds", "From arrival to the end.",
                            LatencyBuckets(), Vllm());
  Histogram& queue = Spread("vllm:request_queue_time_seconds", "From arrival to the first step.",
                            LatencyBuckets(), Vllm());
  Histogram& inference = Spread("vllm:request_inference_time_seconds",
                                "From the first step to the last id.", LatencyBuckets(), Vllm());
  Histogram& prefill = Spread("vllm:request_prefill_time_seconds",
                              "From the first step to the first id.", LatencyBuckets(), Vllm());
  Histogram& decode = Spread("vllm:request_decode_time_seconds", "From the first to the last id.",
                             LatencyBuckets(), Vllm());
  Histogram& request_prompt =
      Spread("vllm:request_prompt_tokens", "Prompt ids of a request.", tokens, Vllm());
  Histogram& request_generated =
      Spread("vllm:request_generation_tokens", "Ids drawn for a request.", tokens, Vllm());
  Histogram& request_most = Spread("vllm:request_max_num_generation_tokens",
                                   "Most ids a request may draw.", tokens, Vllm());
  Histogram& request_max_tokens =
      Spread("vllm:request_params_max_tokens", "Ids that a request asked for.", tokens, Vllm());

  Histogram& request_choices =
      Spread("vllm:request_params_n", "Choices that a request asked for.", ChoiceBuckets(), Vllm());

  ProcessMetrics process{registry};

  Mutex mu;
  std::vector<std::string> stages GUARDED_BY(mu);  // node ids of the plan that serves
  std::vector<Gauge*> stage_gauges GUARDED_BY(mu);
  std::map<Gauge*, Family<Gauge>*> of_members GUARDED_BY(mu);
};

// A series that appears with its first event hides that event from rate(): all known labels exist
// from the start.
void Metrics::Families::CreateKnownLabels() {
  for (const char* reason : {"stop", "length", "abort", "error", "repetition"}) {
    success.Add(Vllm("finished_reason", reason));
  }
  for (const char* reason : {"queue_full", "invalid", "unavailable"}) {
    refused.Add({{"reason", reason}});
  }
}

Metrics::Metrics(const std::string& model_name, std::uint32_t context_length,
                 const std::string& version)
    : families_(std::make_unique<Families>(model_name, context_length)) {
  families_->CreateKnownLabels();
  families_->Level("bramble_build_info", "Always 1.", {{"version", version}}).Set(1);
}

Metrics::~Metrics() = default;

std::string Metrics::Text() const {
  families_->process.Read();
  return prometheus::TextSerializer().Serialize(families_->registry.Collect());
}

void Metrics::Serving(const ServeSnapshot& now) {
  Families& f = *families_;
  f.running.Set(now.running);
  f.waiting.Set(now.queued);
  f.usage.Set(now.pages == 0 ? 0 : static_cast<double>(now.pages_in_use) / now.pages);
  f.in_flight.Set(now.steps_in_flight);
  f.pages.Set(now.pages);
  f.pages_used.Set(now.pages_in_use);
  f.pages_kept.Set(now.pages_cached);
}

void Metrics::StepSent(std::uint32_t rows) {
  families_->steps.Increment();
  families_->iteration.Observe(rows);
}

void Metrics::StageSpent(std::size_t stage, double compute_seconds, double wait_seconds) {
  Families& f = *families_;
  const MutexLock lock(f.mu);
  if (stage >= f.stages.size()) return;
  const Labels labels{{"node", f.stages[stage]}};
  f.step_seconds.Add(labels, StepSecondsBuckets()).Observe(compute_seconds);
  f.step_wait.Add(labels, StepSecondsBuckets()).Observe(wait_seconds);
}

void Metrics::PromptDone(std::uint32_t tokens) {
  families_->prompt.Increment(tokens);
  families_->vllm_prompt.Increment(tokens);
}

void Metrics::PrefixLookedUp(std::uint32_t tokens, std::uint32_t found) {
  families_->prefix_queries.Increment(tokens);
  families_->prefix_hits.Increment(found);
  families_->prompt_cached.Increment(found);
}

void Metrics::FirstToken(double seconds_since_submit) {
  families_->generated.Increment();
  families_->vllm_generated.Increment();
  families_->first_token.Observe(seconds_since_submit);
}

void Metrics::NextToken(double seconds_since_last) {
  families_->generated.Increment();
  families_->vllm_generated.Increment();
  families_->next_token.Observe(seconds_since_last);
}

void Metrics::Preempted() { families_->preemptions.Increment(); }

void Metrics::Refused(const char* reason) {
  families_->refused.Add({{"reason", reason}}).Increment();
}

void Metrics::Ended(const EndedRequest& request) {
  Families& f = *families_;
  f.success.Add(f.Vllm("finished_reason", ReasonName(request.reason))).Increment();
  f.total.Observe(request.total_seconds);
  f.request_prompt.Observe(request.prompt_tokens);
  f.request_generated.Observe(request.generated_tokens);
  f.request_most.Observe(request.max_tokens);
  f.request_max_tokens.Observe(request.max_tokens);
  if (request.queue_seconds >= 0) f.queue.Observe(request.queue_seconds);
  if (request.prefill_seconds < 0) return;
  f.prefill.Observe(request.prefill_seconds);
  f.decode.Observe(request.decode_seconds);
  f.inference.Observe(request.prefill_seconds + request.decode_seconds);
  f.per_token.Observe(
      request.generated_tokens > 1 ? request.decode_seconds / (request.generated_tokens - 1) : 0);
}

void Metrics::MembersAre(const std::vector<Member>& members) {
  Families& f = *families_;
  const MutexLock lock(f.mu);
  const auto before = std::exchange(f.of_members, {});
  int present = 0;
  for (const Member& member : members) {
    const auto set = [&](Family<Gauge>& family, double value) {
      Gauge& gauge = family.Add({{"node", member.node_id}});
      gauge.Set(value);
      f.of_members.emplace(&gauge, &family);
    };
    const v1::NodeHealth& health = member.health;
    if (member.present) ++present;
    set(f.member_present, member.present ? 1 : 0);
    set(f.member_epoch, static_cast<double>(member.epoch));
    set(f.member_round_trip, member.round_trip_seconds);
    set(f.member_available, static_cast<double>(member.memory_available_bytes));
    if (health.has_hottest_celsius()) set(f.member_celsius, health.hottest_celsius());
    if (health.has_undervoltage()) set(f.member_undervoltage, health.undervoltage() ? 1 : 0);
    if (health.has_throttled()) set(f.member_throttled, health.throttled() != 0 ? 1 : 0);
  }
  f.members.Set(present);
  // Of who was removed, and of sensors that say nothing any more.
  for (const auto& [gauge, family] : before) {
    if (f.of_members.count(gauge) == 0) family->Remove(gauge);
  }
}

void Metrics::Asked(std::uint32_t n) { families_->request_choices.Observe(n); }

void Metrics::Planned(std::uint64_t epoch, const Plan* plan) {
  Families& f = *families_;
  f.epoch.Set(plan == nullptr ? 0 : static_cast<double>(epoch));
  f.stages_planned.Set(plan == nullptr ? 0 : StageCount(*plan));
  f.expected.Set(plan == nullptr ? 0 : plan->slowest_stage_seconds);
  const MutexLock lock(f.mu);
  for (Gauge* gauge : f.stage_gauges) f.stage_bytes.Remove(gauge);
  f.stage_gauges.clear();
  f.stages.clear();
  if (plan == nullptr) return;
  for (const PlannedStage& stage : plan->stages) {
    if (stage.member == 0) f.stages.push_back(stage.node_id);
    // From here on, so that rate() sees its first step.
    f.step_seconds.Add({{"node", stage.node_id}}, StepSecondsBuckets());
    f.step_wait.Add({{"node", stage.node_id}}, StepSecondsBuckets());
    const std::array<std::pair<const char*, std::uint64_t>, 3> parts = {
        {{"weights", stage.weight_bytes},
         {"caches", stage.cache_bytes},
         {"buffers", stage.buffer_bytes}}};
    for (const auto& [kind, bytes] : parts) {
      Gauge& gauge = f.stage_bytes.Add({{"node", stage.node_id}, {"kind", kind}});
      gauge.Set(static_cast<double>(bytes));
      f.stage_gauges.push_back(&gauge);
    }
  }
}

void Metrics::WorkerLost() { families_->lost.Increment(); }

void Metrics::Answered(const std::string& route, unsigned status, double seconds) {
  const std::string known = route.empty() ? "other" : route;
  families_->http.Add({{"route", known}, {"status", std::to_string(status)}}).Increment();
  families_->http_seconds.Add({{"route", known}}, FirstTokenBuckets()).Observe(seconds);
}

}  // namespace bramble::coordinator
