// bramble run: one prompt, one answer.
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/answerer.h"
#include "cli/cluster_address.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

// The words of the command line, and what comes through a pipe below them.
std::string PromptFrom(const Settings& settings) {
  std::string prompt;
  for (const std::string& word : settings.Texts("prompt"))
    prompt += (prompt.empty() ? "" : " ") + word;
  if (isatty(STDIN_FILENO) == 1 || !(settings.Switch("stdin") || prompt.empty())) return prompt;
  const std::string piped{std::istreambuf_iterator<char>(std::cin),
                          std::istreambuf_iterator<char>()};
  return prompt.empty() || piped.empty() ? prompt + piped : prompt + "\n\n" + piped;
}

Result<Answer> AnswerPrompt(const Settings& settings, const std::string& prompt,
                            const std::function<void(std::string_view)>& on_text) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (settings.Has("system"))
    messages.push_back({{"role", "system"}, {"content", settings.Text("system")}});
  messages.push_back({{"role", "user"}, {"content", prompt}});
  if (settings.Has("url")) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Answerer> answerer,
                     MakeHttpAnswerer(ClusterAddress(settings), ""));
    return answerer->Ask(messages, AnswerOptionsFrom(settings), on_text);
  }
  ASSIGN_OR_RETURN(const LocalClusterOptions options, LocalClusterFrom(settings));
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalCluster> cluster,
                   LocalCluster::Start(options, SayProgress));
  EndProgress();
  return MakeLocalAnswerer(*cluster)->Ask(messages, AnswerOptionsFrom(settings), on_text);
}

}  // namespace

int RunRun(const Settings& settings) {
  const std::string prompt = PromptFrom(settings);
  if (prompt.empty()) {
    std::fputs("bramble run: the prompt is empty; write it behind the model, or pipe it in\n",
               stderr);
    return 2;
  }
  const bool json = settings.Switch("json");
  const auto answer = AnswerPrompt(settings, prompt, [&](std::string_view text) {
    if (json) return;
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  });
  if (!answer.ok()) return Fail(answer.status());
  if (json) {
    const nlohmann::ordered_json report{{"text", answer->text},
                                        {"prompt_tokens", answer->prompt_tokens},
                                        {"tokens", answer->tokens},
                                        {"seconds_to_first_token", answer->seconds_to_first_token},
                                        {"seconds", answer->seconds}};
    std::printf("%s\n", report.dump().c_str());
  } else {
    std::printf("\n");
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", SpeedLine(*answer).c_str());
  }
  return 0;
}

}  // namespace bramble::cli
