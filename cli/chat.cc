// bramble chat: a conversation on the terminal.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/answerer.h"
#include "cli/cluster_address.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

// Until the end of input. A failed answer is told, and the conversation goes on without it.
void Converse(Answerer& answerer, const Settings& settings) {
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  if (settings.Has("system"))
    messages.push_back({{"role", "system"}, {"content", settings.Text("system")}});
  std::string line;
  while (true) {
    if (OnTerminal()) std::fputs("> ", stderr);
    if (!std::getline(std::cin, line)) return;
    if (line.empty()) continue;
    messages.push_back({{"role", "user"}, {"content", line}});
    const auto answer =
        answerer.Ask(messages, AnswerOptionsFrom(settings), [](std::string_view text) {
          std::fwrite(text.data(), 1, text.size(), stdout);
          std::fflush(stdout);
        });
    std::fputs("\n", stdout);
    if (!answer.ok()) {
      Fail(answer.status());
      messages.erase(messages.size() - 1);
      continue;
    }
    messages.push_back({{"role", "assistant"}, {"content", answer->text}});
    if (OnTerminal()) std::fprintf(stderr, "  [%s]\n", SpeedLine(*answer).c_str());
  }
}

Status Chat(const Settings& settings) {
  if (settings.Has("url")) {
    ASSIGN_OR_RETURN(const std::unique_ptr<Answerer> answerer,
                     MakeHttpAnswerer(ClusterAddress(settings), ""));
    Converse(*answerer, settings);
    return {};
  }
  if (!settings.Has("model"))
    return Invalid("name a model, or a running cluster with --url http://HOST:PORT");
  ASSIGN_OR_RETURN(const LocalClusterOptions options, LocalClusterFrom(settings));
  ASSIGN_OR_RETURN(const std::unique_ptr<LocalCluster> cluster,
                   LocalCluster::Start(options, SayProgress));
  EndProgress();
  Converse(*MakeLocalAnswerer(*cluster), settings);
  return {};
}

}  // namespace

int RunChat(const Settings& settings) {
  const Status status = Chat(settings);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace bramble::cli
