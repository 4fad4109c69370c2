// bramble coordinator, bramble worker: the daemons by the name of the command.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "cli/local_cluster.h"
#include "cli/report.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

// Becomes the daemon; returns only if that fails.
int Become(const char* name, const Settings& settings) {
  std::vector<std::string> words = {JoinPath(ProgramFolder(), name)};
  for (const std::string& word : settings.Texts("arguments")) words.push_back(word);
  std::vector<char*> pointers;
  pointers.reserve(words.size() + 1);
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  execv(pointers.front(), pointers.data());
  return Fail(NotFound("cannot start ", words.front(), ": ", std::strerror(errno)));
}

}  // namespace

int RunCoordinator(const Settings& settings) { return Become("bramble-coordinator", settings); }

int RunWorker(const Settings& settings) { return Become("bramble-worker", settings); }

}  // namespace bramble::cli
