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
                line.rfind("bramble_", 0) == 0 || line.rfind("vllm:", 0) == 0 ||
                line.rfind("process_", 0) == 0)
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

TEST(Metrics, SaysHowEachMemberIs) {
  Metrics metrics("smol", 2048, "1");
  std::vector<Member> members(2);
  members[0].node_id = "pi-1";
  members[0].present = true;
  members[0].epoch = 4;
  members[0].round_trip_seconds = 0.002;
  members[0].memory_available_bytes = 5000;
  members[0].health.set_hottest_celsius(61.5);
  members[0].health.set_undervoltage(true);
  members[0].health.set_throttled(5);
  members[1].node_id = "pc";
  metrics.MembersAre(members);
  const std::string text = metrics.Text();
  for (const char* line :
       {"bramble_members_present 1", "bramble_member_present{node=\"pi-1\"} 1",
        "bramble_member_present{node=\"pc\"} 0", "bramble_member_epoch{node=\"pi-1\"} 4",
        "bramble_member_round_trip_seconds{node=\"pi-1\"} 0.002",
        "bramble_member_memory_available_bytes{node=\"pi-1\"} 5000",
        "bramble_member_temperature_celsius{node=\"pi-1\"} 61.5",
        "bramble_member_undervoltage{node=\"pi-1\"} 1",
        "bramble_member_throttled{node=\"pi-1\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  for (const char* absent : {"bramble_member_temperature_celsius{node=\"pc\"}",
                             "bramble_member_undervoltage{node=\"pc\"}"}) {
    EXPECT_THAT(text, Not(HasSubstr(absent))) << "a board without sensors";
  }
}

TEST(Metrics, ForgetsAMemberThatWasRemovedAndASensorThatIsSilent) {
  Metrics metrics("smol", 2048, "1");
  std::vector<Member> members(2);
  members[0].node_id = "pi-1";
  members[0].health.set_hottest_celsius(61.5);
  members[1].node_id = "pi-2";
  metrics.MembersAre(members);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_member_present{node=\"pi-2\"} 0"));
  members.pop_back();
  members[0].health.clear_hottest_celsius();
  metrics.MembersAre(members);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_member_present{node=\"pi-1\"} 0"));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("node=\"pi-2\"")));
  EXPECT_THAT(metrics.Text(), Not(HasSubstr("bramble_member_temperature_celsius{")));
}

TEST(Metrics, BooksChoicesAndCachedPrompts) {
  Metrics metrics("smol", 2048, "1");
  metrics.Asked(3);
  metrics.PrefixLookedUp(100, 64);
  const std::string labels = "{engine=\"0\",model_name=\"smol\"";
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("vllm:request_params_n_bucket" + labels + ",le=\"2\"} 0"));
  EXPECT_THAT(text, HasSubstr("vllm:request_params_n_bucket" + labels + ",le=\"5\"} 1"));
  EXPECT_THAT(text, HasSubstr("vllm:prompt_tokens_cached_total" + labels + "} 64"));
}

TEST(Metrics, ForgetsTheStagesOfAPlanThatIsGone) {
  Metrics metrics("smol", 2048, "1");
  Plan plan;
  plan.stages.resize(2);
  plan.stages[0].node_id = "pi-1";
  plan.stages[0].weight_bytes = 1000;
  plan.stages[1].node_id = "pi-2";
  metrics.Planned(4, &plan);
  EXPECT_THAT(metrics.Text(), HasSubstr("bramble_step_seconds_count{node=\"pi-2\"} 0"));
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
