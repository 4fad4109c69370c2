#include "coordinator/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace bramble::coordinator {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Metrics, HasEverySeriesOfADashboardFromTheStart) {
  const std::string text = Metrics("smol", 2048, "1.2.3").Text();
  for (const char* series : {"vllm:e2e_request_latency_seconds_bucket{",
                             "vllm:inter_token_latency_seconds_bucket{",
                             "vllm:time_to_first_token_seconds_bucket{",
                             "vllm:prompt_tokens_total{",
                             "vllm:generation_tokens_total{",
                             "vllm:num_requests_running{",
                             "vllm:num_requests_waiting{",
                             "vllm:kv_cache_usage_perc{",
                             "vllm:request_prompt_tokens_bucket{",
                             "vllm:request_generation_tokens_bucket{",
                             "vllm:request_queue_time_seconds_sum{",
                             "vllm:request_prefill_time_seconds_sum{",
                             "vllm:request_decode_time_seconds_sum{",
                             "vllm:request_max_num_generation_tokens_sum{",
                             "vllm:iteration_tokens_total_bucket{",
                             "vllm:num_preemptions_total{",
                             "vllm:prefix_cache_queries_total{",
                             "vllm:prefix_cache_hits_total{",
                             "finished_reason=\"repetition\"",
                             "model_name=\"smol\"",
                             "engine=\"0\"",
                             "bramble_build_info{version=\"1.2.3\"} 1",
                             "bramble_steps_total 0",
                             "bramble_members_present 0",
                             "bramble_plan_epoch 0",
                             "bramble_requests_refused_total{reason=\"queue_full\"} 0"}) {
    EXPECT_THAT(text, HasSubstr(series));
  }
  EXPECT_THAT(text, HasSubstr("le=\"2000\"")) << "token counts in steps of 1, 2, 5";
  EXPECT_THAT(text, Not(HasSubstr("le=\"5000\""))) << "no longer than the context";
}

TEST(Metrics, HelpIsOneLineForEachFamily) {
  std::istringstream text(Metrics("smol", 2048, "1").Text());
  std::size_t families = 0;
  for (std::string line; std::getline(text, line);) {
    ASSERT_TRUE(line.rfind("# HELP ", 0) == 0 || line.rfind("# TYPE ", 0) == 0 ||
                line.rfind("bramble_", 0) == 0 || line.rfind("vllm:", 0) == 0)
        << line;
    if (line.rfind("# HELP ", 0) != 0) continue;
    ++families;
    EXPECT_GT(std::count(line.begin(), line.end(), ' '), 3) << line;
  }
  EXPECT_GT(families, 30U);
}

TEST(Metrics, CountsARequestAsItsTimesSay) {
  Metrics metrics("smol", 2048, "1");
  metrics.PromptDone(7);
  metrics.FirstToken(0.5);
  metrics.NextToken(0.02);
  EndedRequest request{FinishReason::kEnd, 7, 3, 100};
  request.queue_seconds = 0.1;
  request.prefill_seconds = 0.4;
  request.decode_seconds = 2;
  request.total_seconds = 2.6;
  metrics.Ended(request);
  EndedRequest refused{FinishReason::kError, 7, 0, 100};
  refused.total_seconds = 1;
  metrics.Ended(refused);
  const std::string labels = "{engine=\"0\",model_name=\"smol\"} ";
  const std::string text = metrics.Text();
  for (const std::string& line :
       {"vllm:prompt_tokens_total" + labels + "7\n",
        "vllm:generation_tokens_total" + labels + "2\n",
        "vllm:request_time_per_output_token_seconds_sum" + labels + "1\n",
        "vllm:request_inference_time_seconds_sum" + labels + "2.4\n",
        "vllm:request_queue_time_seconds_count" + labels + "1\n",
        "vllm:request_decode_time_seconds_count" + labels + "1\n",
        "vllm:e2e_request_latency_seconds_count" + labels + "2\n",
        std::string("vllm:request_success_total{engine=\"0\",finished_reason=\"stop\","
                    "model_name=\"smol\"} 1\n"),
        std::string("vllm:request_success_total{engine=\"0\",finished_reason=\"error\","
                    "model_name=\"smol\"} 1\n")}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, ForgetsTheStagesOfAPlanThatIsGone) {
  Metrics metrics("smol", 2048, "1");
  Plan plan;
  plan.stages.resize(2);
  plan.stages[0].node_id = "pi-1";
  plan.stages[0].weight_bytes = 1000;
  plan.stages[1].node_id = "pi-2";
  metrics.Planned(4, &plan);
  metrics.StageSpent(1, 0.003, 0.001);
  metrics.StageSpent(2, 1, 1);  // there is none
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_plan_epoch 4"));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("bramble_stage_memory_bytes{kind=\"weights\",node=\"pi-1\"} 1000"));
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_step_seconds_count{node=\"pi-2\"} 1"));
  metrics.Planned(5, nullptr);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_plan_epoch 0"));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("bramble_stage_memory_bytes{")));
}

}  // namespace
}  // namespace bramble::coordinator
