#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/verbs.h"
#include "common/manual.h"
#include "common/version.h"

namespace {

using bramble::cli::Verb;

constexpr const char* kSummary = "pools several small computers for one model";
constexpr int kMisuse = 2;

// The words of the daemons' verbs are theirs: nothing in them is read here.
bool IsDaemon(const bramble::Command& command) {
  return command.settings.size() == 1 &&
         std::string_view(command.settings.front().name) == "arguments";
}

int RunVerb(const Verb& verb, std::vector<std::string> words) {
  if (IsDaemon(verb.command)) words.insert(words.begin(), "--");
  bramble::Command command = verb.command;
  const std::string full_name = std::string("bramble ") + command.name;
  command.name = full_name.c_str();
  bramble::ParseOptions options;
  options.version = bramble::kVersion;
  const bramble::ParsedCommand parsed = bramble::ParseCommand(command, words, options);
  if (parsed.exit_code) return bramble::FinishCommand(parsed);
  // A peer that goes away is an error of one write, not the end of the program.
  std::signal(SIGPIPE, SIG_IGN);
  // What people watch is printed by the verbs themselves.
  bramble::StartLogFrom(parsed.settings, "bramble", bramble::LogLevel::kError);
  return verb.run(parsed.settings);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::vector<bramble::Command> commands;
  for (const Verb& verb : bramble::cli::Verbs()) commands.push_back(verb.command);
  if (words.empty() || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
    std::fputs(bramble::VerbsHelp("bramble", kSummary, commands).c_str(), stdout);
    return words.empty() ? kMisuse : 0;
  }
  if (words[0] == "--print-manual") {
    std::fputs(bramble::ManualPage("bramble", kSummary, commands).c_str(), stdout);
    return 0;
  }
  if (words[0] == "--version") {
    std::printf("bramble %s\n", bramble::kVersion);
    return 0;
  }
  std::size_t used = 0;
  const bramble::Command* found = bramble::FindCommand(commands, words, &used);
  if (found == nullptr) {
    std::fprintf(stderr, "bramble: there is no verb '%s'; 'bramble --help' lists them\n",
                 words[0].c_str());
    return kMisuse;
  }
  const auto index = static_cast<std::size_t>(found - commands.data());
  return RunVerb(bramble::cli::Verbs()[index],
                 {words.begin() + static_cast<std::ptrdiff_t>(used), words.end()});
}
