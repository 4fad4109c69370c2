// bramble pull: a model onto this machine.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/model_store.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace bramble::cli {
namespace {

constexpr std::chrono::seconds kBetweenLines(1);  // where lines do not replace each other

// At most a line a second, and one for each new file.
class ProgressLines {
 public:
  void Hear(const std::string& what, std::uint64_t done, std::uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (what == last_what_ && now - last_ < kBetweenLines) return;
    last_ = now;
    last_what_ = what;
    std::string line = what;
    if (done > 0 || total > 0) line += "  " + HumanBytes(done);
    if (total > 0) {
      line += " of " + HumanBytes(total) + "  " +
              Fixed(100.0 * static_cast<double>(done) / static_cast<double>(total), 0) + " %";
    }
    SayProgress(line);
  }

 private:
  std::chrono::steady_clock::time_point last_;
  std::string last_what_;
};

}  // namespace

int RunPull(const Settings& settings) {
  const ModelStore store(ModelStore::DefaultFolder());
  ProgressLines lines;
  const auto model = store.Pull(settings.Text("model"),
                                [&](const std::string& what, std::uint64_t done,
                                    std::uint64_t total) { lines.Hear(what, done, total); });
  if (!model.ok()) return Fail(model.status());
  EndProgress();
  if (settings.Switch("json")) {
    const nlohmann::ordered_json report{{"name", model->name},
                                        {"source", model->source},
                                        {"path", model->path},
                                        {"bytes", model->bytes}};
    std::printf("%s\n", report.dump().c_str());
  } else {
    std::printf("%s\n", model->path.c_str());
  }
  return 0;
}

}  // namespace bramble::cli
