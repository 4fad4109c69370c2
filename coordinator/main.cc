// The coordinator daemon: opens a model, lets workers in, spreads the model over them and serves it
// over HTTP.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/log.h"
#include "common/net.h"
#include "common/notify.h"
#include "common/signals.h"
#include "common/version.h"
#include "coordinator/api/api.h"
#include "coordinator/api/server.h"
#include "coordinator/engine.h"
#include "coordinator/metrics.h"
#include "coordinator/settings.h"
#include "model/model.h"

namespace bramble::coordinator {
namespace {

constexpr int kBadConfiguration = 78;  // EX_CONFIG: systemd does not start us again
// For answers that are on their way when the drain is over.
constexpr std::chrono::milliseconds kLastWrites{2000};

// What the settings say, checked.
struct Configuration {
  EngineOptions engine;
  HttpOptions http;
  std::vector<std::string> api_key_hashes;
};

// "/models/smol-q4.gguf" -> "smol-q4": what people call the model, where the name inside the file
// may be anything.
std::string FileName(const std::string& path) {
  const std::filesystem::path name = std::filesystem::path(path).lexically_normal();
  const std::filesystem::path last = name.has_filename() ? name : name.parent_path();
  return last.extension() == ".gguf" ? last.stem().string() : last.filename().string();
}

Result<Configuration> Configure(const Settings& settings) {
  Configuration configuration;
  ASSIGN_OR_RETURN(const HostPort listen, ParseHostPort(settings.Text("listen"), "listen"));
  RETURN_IF_ERROR(CheckListenAddress(listen, true, "listen", "it always has mutual TLS"));
  ASSIGN_OR_RETURN(const HostPort http, ParseHostPort(settings.Text("http"), "http"));
  if (settings.Has("api-key-file")) {
    ASSIGN_OR_RETURN(configuration.api_key_hashes, ReadApiKeyFile(settings.Text("api-key-file")));
  }
  RETURN_IF_ERROR(CheckListenAddress(http, !configuration.api_key_hashes.empty(), "http",
                                     "give --api-key-file FILE, or an address of this machine "
                                     "alone, as 127.0.0.1:8479"));
  if (settings.Has("http-certificate") != settings.Has("http-key")) {
    return Invalid("http-certificate and http-key belong together: only one is set");
  }
  configuration.http.listen = settings.Text("http");
  configuration.http.tls_certificate_file = settings.TextOr("http-certificate", "");
  configuration.http.tls_key_file = settings.TextOr("http-key", "");

  EngineOptions& engine = configuration.engine;
  engine.listen = settings.Text("listen");
  engine.state_dir = settings.Text("state");
  engine.model_name = settings.TextOr("served-name", FileName(settings.Text("model")));
  engine.wait_workers = static_cast<std::uint32_t>(settings.Integer("wait-workers"));
  engine.max_queued = static_cast<std::uint32_t>(settings.Integer("max-queued"));
  ASSIGN_OR_RETURN(engine.objective, ParseObjective(settings.Text("optimize")));
  ASSIGN_OR_RETURN(engine.sharding, ParseSharding(settings.Text("sharding")));
  engine.limits.context = static_cast<std::uint32_t>(settings.Integer("context"));
  engine.limits.max_sequences = static_cast<std::uint32_t>(settings.Integer("max-sequences"));
  return configuration;
}

Result<std::shared_ptr<const model::Model>> OpenModel(const Settings& settings) {
  model::CompileOptions compile;
  if (settings.Text("activations") == "f32") compile = model::TrueMode();
  compile.context_length = static_cast<std::uint32_t>(settings.Integer("context"));
  ASSIGN_OR_RETURN(std::shared_ptr<const model::Model> model,
                   model::Model::Open(settings.Text("model"), compile));
  LogInfo("model opened", {{"path", settings.Text("model")},
                           {"name", model->program().name()},
                           {"bytes", model->facts().bytes},
                           {"context_length", model->program().context_length()}});
  for (const std::string& note : model->facts().notes) LogWarn("model", {{"note", note}});
  return model;
}

ApiOptions ApiOver(Engine& engine, const model::Model& model, const Configuration& configuration) {
  ApiOptions api;
  api.model = DescribeModel(model, engine.snapshot().model);
  api.generator = &engine.generator();
  api.api_key_hashes = configuration.api_key_hashes;
  api.context_length = [&engine] { return engine.snapshot().context_length; };
  api.health = [&engine]() -> Status {
    const ClusterSnapshot now = engine.snapshot();
    if (now.state == EngineState::kReady) return {};
    return Unavailable(EngineStateName(now.state), now.why.ok() ? "" : ": ", now.why.message());
  };
  api.metrics = [&engine] { return engine.MetricsText(); };
  api.cluster = [&engine] { return ClusterJson(engine.snapshot()); };
  api.targets = [&engine] { return TargetsJson(engine.snapshot().members); };
  api.asked = [&engine](std::uint32_t n) { engine.metrics().Asked(n); };
  api.observe = [&engine](const std::string& route, unsigned status, double seconds) {
    engine.metrics().Answered(route, status, seconds);
  };
  return api;
}

void WaitForStop() {
  const auto watchdog = WatchdogInterval();
  int signal = 0;
  while (signal == 0) {
    signal = watchdog ? WaitForStopSignal(*watchdog).value_or(0) : WaitForStopSignal();
    // Notices of systemd are best effort.
    if (watchdog) static_cast<void>(NotifySystemd("WATCHDOG=1"));
  }
  LogInfo("stopping", {{"signal", signal}});
}

// Runs until a signal to stop.
Status Serve(const Settings& settings, const Configuration& configuration) {
  static_cast<void>(NotifySystemd("STATUS=opening the model"));
  ASSIGN_OR_RETURN(const std::shared_ptr<const model::Model> model, OpenModel(settings));
  EngineOptions options = configuration.engine;
  options.model = model;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, Engine::Start(std::move(options)));
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpHandler> api,
                   MakeApi(ApiOver(*engine, *model, configuration)));
  ASSIGN_OR_RETURN(const std::unique_ptr<HttpServer> http,
                   HttpServer::Start(configuration.http, *api));
  std::printf("ready grpc=%s http=%s\n", engine->grpc_address().c_str(), http->address().c_str());
  std::fflush(stdout);
  static_cast<void>(NotifySystemd("READY=1\nSTATUS=listening"));
  WaitForStop();
  static_cast<void>(NotifySystemd("STOPPING=1"));
  engine->Drain(std::chrono::steady_clock::now() + settings.Duration("drain"));
  http->Shutdown(kLastWrites);
  engine->Shutdown();
  return {};
}

int Main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  ParseOptions options;
  options.default_file = "/etc/bramble/coordinator.yaml";
  options.version = kVersion;
  options.bad_configuration_code = kBadConfiguration;
  const ParsedCommand parsed = ParseCommand(CoordinatorCommand(), words, options);
  if (parsed.exit_code) return FinishCommand(parsed);
  StartLogFrom(parsed.settings, "bramble-coordinator");
  const Result<Configuration> configuration = Configure(parsed.settings);
  const Status status =
      configuration.ok() ? Serve(parsed.settings, *configuration) : configuration.status();
  if (status.ok()) return 0;
  LogFailure("bramble-coordinator ends", status);
  std::fprintf(stderr, "bramble-coordinator: %s\n", status.message().c_str());
  return configuration.ok() ? 1 : kBadConfiguration;
}

}  // namespace
}  // namespace bramble::coordinator

int main(int count, char** arguments) {
  bramble::BlockStopSignals();
  return bramble::coordinator::Main(count, arguments);
}
