#pragma once

#include <span>

#include "common/settings.h"

namespace bramble::cli {

// One verb: its name, settings and help, and what runs it. Returns the process's exit code: 0 done,
// 1 failed (the reason is on stderr), 2 misuse, 3 not ready.
struct Verb {
  Command command;
  int (*run)(const Settings& settings);
};

// The table that help, completion and the dispatcher are made from (verbs.cc).
std::span<const Verb> Verbs();

// One file each.
int RunRun(const Settings& settings);
int RunChat(const Settings& settings);
int RunServe(const Settings& settings);
int RunCoordinator(const Settings& settings);
int RunWorker(const Settings& settings);
int RunNodes(const Settings& settings);
int RunModels(const Settings& settings);
int RunPlan(const Settings& settings);
int RunNodeRemove(const Settings& settings);
int RunHealth(const Settings& settings);
int RunPull(const Settings& settings);
int RunInspect(const Settings& settings);
int RunEval(const Settings& settings);
int RunEmbed(const Settings& settings);
int RunBench(const Settings& settings);
int RunPerplexity(const Settings& settings);
int RunTokenCreate(const Settings& settings);
int RunTokenList(const Settings& settings);
int RunTokenDelete(const Settings& settings);
int RunCertificateCreate(const Settings& settings);
int RunCompletion(const Settings& settings);

}  // namespace bramble::cli
