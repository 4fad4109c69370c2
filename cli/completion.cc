// bramble completion: what a shell asks, and the script that makes it ask.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/verbs.h"

namespace bramble::cli {
namespace {

constexpr const char* kBashScript = R"(_bramble() {
  local IFS=$'\n'
  COMPREPLY=($(bramble completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _bramble bramble
)";

constexpr const char* kZshScript = R"zsh(#compdef bramble
local -a found
found=(${(f)"$(bramble completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
if (( $#found )); then compadd -- $found; else _files; fi
)zsh";

}  // namespace

int RunCompletion(const Settings& settings) {
  if (settings.Text("what") == "bash") {
    std::fputs(kBashScript, stdout);
    return 0;
  }
  if (settings.Text("what") == "zsh") {
    std::fputs(kZshScript, stdout);
    return 0;
  }
  std::vector<Command> commands;
  for (const Verb& verb : Verbs()) commands.push_back(verb.command);
  for (const std::string& word : CompletionWords(commands, settings.Texts("words")))
    std::printf("%s\n", word.c_str());
  return 0;
}

}  // namespace bramble::cli
