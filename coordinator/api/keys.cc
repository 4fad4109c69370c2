#include "coordinator/api/keys.h"

#include <algorithm>
#include <utility>

#include "common/files.h"
#include "coordinator/api/api.h"
#include "coordinator/api/http.h"

namespace bramble::coordinator {
namespace {

constexpr std::size_t kLeastKey = 16;
constexpr std::size_t kMostKey = 512;
constexpr std::size_t kKeyFileBytes = std::size_t{1} << 20;

std::string_view AsText(const Sha256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

Result<Keys> Keys::FromHashes(const std::vector<std::string>& hashes) {
  Keys keys;
  for (const std::string& hex : hashes) {
    ASSIGN_OR_RETURN(const std::string bytes, BytesFromHex(hex));
    Sha256 hash{};
    if (bytes.size() != hash.size()) {
      return Invalid("the hash of an API key must have ", hash.size() * 2,
                     " hexadecimal digits, not ", hex.size());
    }
    std::copy(bytes.begin(), bytes.end(), hash.begin());
    keys.hashes_.push_back(hash);
  }
  return keys;
}

bool Keys::Allow(std::string_view header) const {
  constexpr std::string_view kScheme = "Bearer ";
  if (header.size() <= kScheme.size() || !SameName(header.substr(0, kScheme.size()), kScheme))
    return false;
  const Sha256 given = Sha256Of(Trimmed(header.substr(kScheme.size())));
  bool allowed = false;
  // All of them, whatever the first ones say.
  for (const Sha256& hash : hashes_) allowed |= EqualInConstantTime(AsText(given), AsText(hash));
  return allowed;
}

std::string HashApiKey(std::string_view key) { return Hex(Sha256Of(key)); }

Result<std::vector<std::string>> ReadApiKeyFile(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(path, kKeyFileBytes));
  std::vector<std::string> hashes;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = Trimmed(std::string_view(text).substr(at, end - at));
    at = end + 1;
    ++number;
    if (line.empty() || line.front() == '#') continue;
    const bool visible =
        std::all_of(line.begin(), line.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!visible || line.size() < kLeastKey || line.size() > kMostKey) {
      return Invalid("API key file '", path, "', line ", number, ": a key has ", kLeastKey, " to ",
                     kMostKey, " visible ASCII characters");
    }
    hashes.push_back(HashApiKey(line));
  }
  if (hashes.empty()) return Invalid("API key file '", path, "' holds no key");
  return hashes;
}

}  // namespace bramble::coordinator
