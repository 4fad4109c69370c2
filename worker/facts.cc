#include "worker/facts.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <limits>
#include <memory>
#include <sstream>
#include <thread>

#include "common/files.h"
#include "common/version.h"
#include "kernels/cpu.h"
#include "proto/program/shapes.h"

namespace bramble::worker {
namespace {

// The number after `key` in a file of lines "key: number kB". 0 if it is not there.
std::uint64_t MemInfo(std::string_view key) {
  std::ifstream file("/proc/meminfo");
  std::string word;
  std::uint64_t kibibytes = 0;
  while (file >> word) {
    if (word == key && file >> kibibytes) return kibibytes * 1024;
    file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

// The smallest limit that a control group (v2, then v1) sets; none: the largest number.
std::uint64_t GroupLimit() {
  for (const char* path :
       {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    std::uint64_t bytes = 0;
    if (file >> bytes && bytes > 0) return bytes;
  }
  return std::numeric_limits<std::uint64_t>::max();
}

struct FreeAddresses {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

bool IsWildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

std::uint64_t TotalMemory() { return std::min(MemInfo("MemTotal:"), GroupLimit()); }

std::uint64_t AvailableMemory() { return MemInfo("MemAvailable:"); }

std::string CpuName() {
  std::ifstream board("/proc/device-tree/model");
  std::string name;
  if (std::getline(board, name, '\0') && !name.empty()) return name;
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) {
      return line.substr(colon + 2);
    }
  }
  return Architecture();
}

std::string Architecture() {
  utsname names = {};
  return uname(&names) == 0 ? names.machine : "unknown";
}

std::string HostName() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "worker";
  return name.data();
}

std::vector<std::string> InstructionSets() {
  std::vector<std::string> names;
  std::istringstream all(kernels::IsaNames());
  for (std::string name; std::getline(all >> std::ws, name, ',');) {
    kernels::Features features = kernels::kNothing;
    const bool runs = kernels::ChooseIsa(name, &features) == kernels::IsaChoice::kOk;
    if (runs && name != "auto") names.push_back(name);
  }
  return names;
}

std::vector<std::string> OperationNames() {
  std::vector<std::string> names;
  const auto* const kinds = v1::Operation::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < kinds->field_count(); ++i) {
    const auto kind = static_cast<v1::Operation::KindCase>(kinds->field(i)->number());
    const program::OperationRow* const row = program::FindOperation(kind);
    if (row != nullptr) names.emplace_back(row->name);
  }
  return names;
}

int Cores() { return static_cast<int>(std::max(1U, std::thread::hardware_concurrency())); }

Result<std::string> LocalAddressTowards(const HostPort& peer) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int error =
      getaddrinfo(peer.host.c_str(), std::to_string(peer.port).c_str(), &hints, &list);
  if (error != 0) return Unavailable("no address for ", peer.host, ": ", gai_strerror(error));
  const std::unique_ptr<addrinfo, FreeAddresses> addresses(list);
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    // Connecting a datagram socket only asks the kernel which way packets would go.
    const File socket(::socket(address->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) continue;
    if (connect(socket.descriptor(), address->ai_addr, address->ai_addrlen) != 0) continue;
    sockaddr_storage local = {};
    socklen_t length = sizeof(local);
    auto* const generic = reinterpret_cast<sockaddr*>(&local);
    if (getsockname(socket.descriptor(), generic, &length) != 0) continue;
    std::array<char, NI_MAXHOST> host = {};
    if (getnameinfo(generic, length, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      return std::string(host.data());
    }
  }
  return Unavailable("no way to ", peer.host,
                     " from here; say with --advertise how this worker "
                     "is reached");
}

Result<HostPort> AdvertisedAddress(const std::string& advertise, const HostPort& bound,
                                   const HostPort& coordinator) {
  if (!advertise.empty()) {
    // An IPv6 address without brackets has several colons, and no port.
    const bool has_port = advertise.find("]:") != std::string::npos ||
                          std::count(advertise.begin(), advertise.end(), ':') == 1;
    if (!has_port) {
      std::string host = advertise;
      if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
      return HostPort{.host = host, .port = bound.port};
    }
    ASSIGN_OR_RETURN(HostPort address, ParseHostPort(advertise, "advertise"));
    if (address.port == 0) address.port = bound.port;
    return address;
  }
  if (!IsWildcard(bound.host)) return bound;
  ASSIGN_OR_RETURN(std::string host, LocalAddressTowards(coordinator));
  return HostPort{.host = std::move(host), .port = bound.port};
}

HostPort MetricsAddress(const HostPort& bound, const HostPort& advertised) {
  return {.host = IsWildcard(bound.host) ? advertised.host : bound.host, .port = bound.port};
}

v1::NodeFacts Facts(const HostPort& advertised, int threads, std::uint64_t memory_limit) {
  v1::NodeFacts facts;
  facts.set_version(kVersion);
  facts.set_address(advertised.ToString());
  facts.set_architecture(Architecture());
  facts.set_cpu(CpuName().substr(0, 200));
  for (const std::string& name : InstructionSets()) facts.add_features(name);
  for (const std::string& name : OperationNames()) facts.add_operations(name);
  facts.set_threads(static_cast<std::uint32_t>(threads));
  facts.set_memory_limit_bytes(memory_limit);
  facts.set_memory_total_bytes(TotalMemory());
  return facts;
}

}  // namespace bramble::worker
