// The worker daemon: joins a cluster, attends at its coordinator, runs the part of a model that it
// is given.
#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/channel.h"
#include "common/identity/credentials.h"
#include "common/identity/node_identity.h"
#include "common/log.h"
#include "common/net.h"
#include "common/notify.h"
#include "common/signals.h"
#include "common/version.h"
#include "kernels/cpu.h"
#include "proto/program/memory.h"
#include "worker/facts.h"
#include "worker/join.h"
#include "worker/link/attendance.h"
#include "worker/link/weight_fetcher.h"
#include "worker/measure.h"
#include "worker/monitoring.h"
#include "worker/service/server.h"
#include "worker/settings.h"

namespace bramble::worker {
namespace {

constexpr int kBadConfiguration = 78;  // EX_CONFIG: systemd does not start us again
constexpr std::chrono::seconds kJoinTime{60};
constexpr std::chrono::milliseconds kJoinPause{500};

std::string VersionText() {
  std::string text = kVersion;
  text += "\ninstruction sets:";
  for (const std::string& name : InstructionSets()) text += " " + name;
  const char* const wanted = std::getenv("BRAMBLE_ISA");
  const bool forced = wanted != nullptr && *wanted != '\0' && std::string(wanted) != "auto";
  text += "\nchosen: ";
  text += forced ? wanted : InstructionSets().back();
  kernels::Features features = kernels::kNothing;
  if (forced && kernels::ChooseIsa(wanted, &features) != kernels::IsaChoice::kOk) {
    text += ", which this CPU cannot run";
  }
  return text;
}

// What the settings say, checked.
struct Configuration {
  HostPort coordinator;
  HostPort listen;
  std::optional<HostPort> metrics;
  std::string state;
  std::string weights;
  kernels::Features features = kernels::kNothing;
  std::uint64_t memory_limit = 0;
  int threads = 1;
};

Result<Configuration> Configure(const Settings& settings) {
  Configuration configuration;
  ASSIGN_OR_RETURN(configuration.coordinator, ParseHostPort(settings.Text("join"), "join"));
  if (configuration.coordinator.port == 0)
    return Invalid("join: the coordinator's port is missing");
  ASSIGN_OR_RETURN(configuration.listen, ParseHostPort(settings.Text("listen"), "listen"));
  if (settings.Has("metrics")) {
    // Needs no look at the address: whatever is not loopback has mutual TLS.
    ASSIGN_OR_RETURN(configuration.metrics, ParseHostPort(settings.Text("metrics"), "metrics"));
  }
  configuration.state = settings.Text("state");
  configuration.weights = settings.TextOr("weights", configuration.state + "/weights");
  const std::string& isa = settings.Text("isa");
  switch (kernels::ChooseIsa(isa, &configuration.features)) {
    case kernels::IsaChoice::kOk:
      break;
    case kernels::IsaChoice::kUnknownName:
      return Invalid("isa: '", isa, "' is none of ", kernels::IsaNames());
    case kernels::IsaChoice::kNotSupported:
      return Invalid("isa: this CPU (", CpuName(), ") cannot run ", isa);
  }
  configuration.memory_limit =
      settings.Has("memory") ? settings.Size("memory") : TotalMemory() / 4 * 3;
  if (configuration.memory_limit == 0) {
    return Invalid("memory: this machine's memory is unknown; say how much may be used");
  }
  const auto threads = static_cast<int>(settings.Integer("threads"));
  configuration.threads =
      threads == 0 ? std::min(Cores(), static_cast<int>(program::kMaxThreads)) : threads;
  return configuration;
}

void PrintReady(const std::string& node_id, const std::string& address) {
  std::printf("ready node=%s grpc=%s\n", node_id.c_str(), address.c_str());
  std::fflush(stdout);
}

AttendanceOptions Present(WorkerServer& server, Monitoring& monitoring, v1::NodeFacts facts,
                          const std::string& node_id) {
  AttendanceOptions options;
  const std::string address = facts.address();
  options.facts = std::move(facts);
  options.epoch = [&server] { return server.epoch(); };
  options.memory_available_bytes = AvailableMemory;
  options.health = [&monitoring] { return monitoring.Health(); };
  options.on_arrived = [&monitoring, node_id, address, told = false]() mutable {
    monitoring.SetHeard(true);
    LogInfo("the coordinator hears us");
    // Notices of systemd are best effort.
    static_cast<void>(NotifySystemd("STATUS=at the coordinator"));
    if (!std::exchange(told, true)) PrintReady(node_id, address);
  };
  options.on_lost = [&server, &monitoring](const Status& why) {
    monitoring.SetHeard(false);
    static_cast<void>(NotifySystemd("STATUS=waiting for the coordinator"));
    server.Drop(why.WithContext("the coordinator is gone"));
  };
  return options;
}

// Runs until a signal to stop.
Status Serve(const Settings& settings, const Configuration& configuration,
             const NodeIdentity& identity, const IdentityStore& identities) {
  SetLogNode(identity.who.node_id);
  ASSIGN_OR_RETURN(const auto credentials, MakeChannelCredentials(identities));
  // Two connections: weights never delay a heartbeat.
  const std::string coordinator = configuration.coordinator.ToString();
  const auto bulk = OpenChannel(
      coordinator, credentials,
      {.expected_node = kCoordinatorNodeId, .max_receive_bytes = WeightFetcher::kMaxChunk});
  const auto control = OpenChannel(coordinator, credentials, {.expected_node = kCoordinatorNodeId});
  Monitoring monitoring;
  ASSIGN_OR_RETURN(const auto server,
                   WorkerServer::Start({.listen = configuration.listen,
                                        .identities = identities,
                                        .weights_folder = configuration.weights,
                                        .weights_limit = settings.Size("weights-limit"),
                                        .shard = {.memory_limit = configuration.memory_limit,
                                                  .threads = configuration.threads,
                                                  .isa = settings.Text("isa"),
                                                  .metrics = &monitoring.metrics()}},
                                       bulk));
  ASSIGN_OR_RETURN(const HostPort advertised,
                   AdvertisedAddress(settings.TextOr("advertise", ""), server->address(),
                                     configuration.coordinator));
  v1::NodeFacts facts = Facts(advertised, configuration.threads, configuration.memory_limit);
  facts.set_store_free_bytes(server->store_usage().free_bytes);
  std::unique_ptr<MetricsListener> listener;
  if (configuration.metrics) {
    ASSIGN_OR_RETURN(listener, monitoring.Listen(*configuration.metrics, identities, *server,
                                                 configuration.memory_limit));
    facts.set_metrics_address(MetricsAddress(listener->address(), advertised).ToString());
    facts.set_metrics_tls(listener->tls());
    LogInfo("metrics are served", {{"address", listener->address().ToString()}});
  }
  server->Compute([&] {
    *facts.mutable_speed() = MeasureOnce({.threads = configuration.threads,
                                          .features = configuration.features,
                                          .memory_limit = configuration.memory_limit},
                                         configuration.state + "/speed");
  });
  static_cast<void>(NotifySystemd("READY=1\nSTATUS=waiting for the coordinator"));
  {
    const Renewal renewal(identities, control);
    const Attendance attendance(
        control, Present(*server, monitoring, std::move(facts), identity.who.node_id));
    const auto watchdog = WatchdogInterval();
    int signal = 0;
    while (signal == 0) {
      signal = watchdog ? WaitForStopSignal(*watchdog).value_or(0) : WaitForStopSignal();
      if (watchdog) static_cast<void>(NotifySystemd("WATCHDOG=1"));
    }
    LogInfo("stopping", {{"signal", signal}});
    static_cast<void>(NotifySystemd("STOPPING=1"));
  }
  return {};
}

Status Run(const Settings& settings, bool* bad_configuration) {
  const auto configuration = Configure(settings);
  *bad_configuration = !configuration.ok();
  if (!configuration.ok()) return configuration.status();
  RETURN_IF_ERROR(MakeFolders(configuration->state, 0700));
  const IdentityStore identities(configuration->state + "/identity");
  JoinOptions join;
  join.coordinator = configuration->coordinator;
  join.token = settings.TextOr("token", "");
  join.wished_name = settings.TextOr("name", HostName());
  join.deadline = std::chrono::steady_clock::now() + kJoinTime;
  join.pause = [] { return WaitForStopSignal(kJoinPause).has_value(); };
  const auto identity = JoinCluster(identities, join);
  if (identity.status().code() == Code::kCancelled) return {};
  if (!identity.ok()) return identity.status();
  return Serve(settings, *configuration, *identity, identities);
}

int Main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const std::string version = VersionText();
  ParseOptions options;
  options.default_file = "/etc/bramble/worker.yaml";
  options.version = version.c_str();
  options.bad_configuration_code = kBadConfiguration;
  const ParsedCommand parsed = ParseCommand(WorkerCommand(), words, options);
  if (parsed.exit_code) return FinishCommand(parsed);
  StartLogFrom(parsed.settings, "bramble-worker");
  bool bad_configuration = false;
  const Status status = Run(parsed.settings, &bad_configuration);
  if (status.ok()) return 0;
  LogFailure("bramble-worker ends", status);
  std::fprintf(stderr, "bramble-worker: %s\n", status.message().c_str());
  return bad_configuration ? kBadConfiguration : 1;
}

}  // namespace
}  // namespace bramble::worker

int main(int count, char** arguments) {
  bramble::BlockStopSignals();
  return bramble::worker::Main(count, arguments);
}
