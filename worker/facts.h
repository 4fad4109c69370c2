#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bramble/v1/cluster.pb.h"
#include "common/net.h"
#include "common/status.h"

namespace bramble::worker {

// Bytes of memory that this machine, or the control group that the worker runs in, has. 0 if nobody
// says.
std::uint64_t TotalMemory();
// Bytes that could be used now without swapping. 0 if the system does not say.
std::uint64_t AvailableMemory();
// "Raspberry Pi 4 Model B Rev 1.4", "AMD EPYC"; the architecture if nothing better is known.
std::string CpuName();
// "x86_64", "aarch64".
std::string Architecture();
std::string HostName();
// The instruction sets of kernels/cpu.h that this CPU can run, "portable" first.
std::vector<std::string> InstructionSets();
// The kinds of operation that it can run, as program.proto names them.
std::vector<std::string> OperationNames();
// Cores that this process may use.
int Cores();

// The address of this machine that packets to `peer` leave from. Sends nothing. Unavailable when
// the name has no address or there is no way to it.
Result<std::string> LocalAddressTowards(const HostPort& peer);

// Where neighbours reach a worker that is bound to `bound`: `advertise` if given (its port may be
// left out), else the bound host, or for a wildcard (0.0.0.0, ::) the address towards
// `coordinator`.
Result<HostPort> AdvertisedAddress(const std::string& advertise, const HostPort& bound,
                                   const HostPort& coordinator);

// Where Prometheus reaches metrics that are bound to `bound` on a worker that is reached at
// `advertised`.
HostPort MetricsAddress(const HostPort& bound, const HostPort& advertised);

// All facts but the speed and the store's.
v1::NodeFacts Facts(const HostPort& advertised, int threads, std::uint64_t memory_limit);

}  // namespace bramble::worker
