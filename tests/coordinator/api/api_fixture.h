#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/api/api.h"
#include "coordinator/api/server.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"
#include "tests/coordinator/api/raw_client.h"

namespace bramble::coordinator {

// Says what a test tells it to, on a thread of its own, in place of a cluster: the subject is what
// the API makes of ids. (tests/process runs the same endpoints over the real scheduler and
// workers.)
class ScriptedGenerator final : public Generator {
 public:
  ~ScriptedGenerator() override;

  // The ids of each answer; then it ends with `end`.
  std::vector<std::uint32_t> script;
  FinishReason end = FinishReason::kEnd;
  Status end_status;
  Status refusal;                // of Submit, if not ok
  bool wait_for_cancel = false;  // after the script, instead of ending

  Result<RequestId> Submit(GenerateRequest request, std::shared_ptr<GenerationSink> sink) override;
  void Cancel(RequestId id) override;

  GenerateRequest last() const;
  std::vector<GenerateRequest> all() const;
  // Waits until that many answers have ended by Cancel.
  bool SawCancels(int count);

 private:
  void Answer(const GenerateRequest& request, GenerationSink& sink, std::uint64_t number);

  mutable std::mutex mu_;
  std::condition_variable changed_;
  std::vector<GenerateRequest> requests_;
  std::map<std::uint64_t, bool> cancelled_;
  int cancels_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

// A small vocabulary: ids 0 .. 255 are the bytes, then some words, then control tokens.
std::unique_ptr<model::text::Tokenizer> MakeSmallTokenizer();

// The API over a ScriptedGenerator, behind a real server.
class ApiTest : public testing::Test {
 protected:
  ApiTest();
  void Start();
  RawReply Ask(const std::string& method, const std::string& target, const std::string& body = {},
               const std::string& headers = {});
  nlohmann::ordered_json AskJson(const std::string& target, const nlohmann::ordered_json& body);
  // The events of a stream, without [DONE]; `done` says whether it came.
  std::vector<nlohmann::ordered_json> Events(const RawReply& reply, bool* done = nullptr);
  std::vector<std::uint32_t> Ids(std::string_view text) const;

  std::unique_ptr<model::text::Tokenizer> tokenizer_;
  std::unique_ptr<model::text::ChatTemplate> template_;
  ScriptedGenerator generator_;
  ApiOptions options_;
  Status health_;
  std::uint32_t context_ = 1000;
  std::unique_ptr<HttpHandler> api_;
  std::unique_ptr<HttpServer> server_;
};

}  // namespace bramble::coordinator
