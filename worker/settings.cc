#include "worker/settings.h"

namespace bramble::worker {

const Command& WorkerCommand() {
  static constexpr Setting kSettings[] = {
      {.name = "join",
       .type = SettingType::kText,
       .fallback = nullptr,
       .help = "Address of the coordinator",
       .required = true,
       .value_name = "HOST:PORT"},
      {.name = "token",
       .type = SettingType::kSecret,
       .fallback = nullptr,
       .help = "Join token; needed for the first start only"},
      {.name = "state",
       .type = SettingType::kText,
       .fallback = "/var/lib/bramble-worker",
       .help = "Folder for this worker's key and certificate",
       .value_name = "DIR"},
      {.name = "listen",
       .type = SettingType::kText,
       .fallback = "0.0.0.0:0",
       .help = "Address to listen on; port 0 takes a free one",
       .value_name = "HOST:PORT"},
      {.name = "metrics",
       .type = SettingType::kText,
       .fallback = nullptr,
       .help = "Address for Prometheus, with mutual TLS unless it is of this machine alone; none "
               "if not given",
       .value_name = "HOST:PORT"},
      {.name = "advertise",
       .type = SettingType::kText,
       .fallback = nullptr,
       .help = "Address that the others reach this worker at, if not the one it listens on",
       .value_name = "HOST[:PORT]"},
      {.name = "name",
       .type = SettingType::kText,
       .fallback = nullptr,
       .help = "Name to join with; the host's name if not given"},
      {.name = "memory",
       .type = SettingType::kSize,
       .fallback = nullptr,
       .help = "Most memory to use; three quarters of the machine's if not given"},
      {.name = "threads",
       .type = SettingType::kInteger,
       .fallback = "0",
       .help = "Threads that compute; 0 takes every core",
       .minimum = 0,
       .maximum = 64},
      {.name = "weights",
       .type = SettingType::kText,
       .fallback = nullptr,
       .help = "Folder for weights, which may be emptied at any time; STATE/weights if not given",
       .value_name = "DIR"},
      {.name = "weights-limit",
       .type = SettingType::kSize,
       .fallback = "0",
       .help = "Most bytes of weights to keep on disk; 0 takes what is free"},
      {.name = "isa",
       .type = SettingType::kText,
       .fallback = "auto",
       .help = "Instruction set of the kernels: auto, portable, avx2, avx512, neon, dotprod, i8mm"},
  };
  static constexpr Command kCommand = {
      .name = "bramble-worker",
      .summary = "Runs a part of a model for a coordinator",
      .settings = kSettings,
  };
  return kCommand;
}

}  // namespace bramble::worker
