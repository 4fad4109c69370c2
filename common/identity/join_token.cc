#include "common/identity/join_token.h"

#include <algorithm>

#include "common/sha256.h"

namespace bramble {
namespace {

constexpr std::string_view kPrefix = "BR1";
constexpr std::size_t kFingerprintDigits = 64;
constexpr std::size_t kIdLength = 6;
constexpr std::size_t kSecretLength = 26;  // 130 bits

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool IsIdCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsSecretCharacter(char c) { return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'); }

bool Consists(std::string_view text, std::size_t length, bool (*is_allowed)(char)) {
  return text.size() == length && std::all_of(text.begin(), text.end(), is_allowed);
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

}  // namespace

std::string JoinToken::ToString() const {
  std::string text(kPrefix);
  text += fingerprint;
  text += "::";
  text += id;
  text += '.';
  text += secret;
  return text;
}

JoinToken MakeJoinToken(const std::string& fingerprint) {
  return {fingerprint, RandomBase32(kIdLength), RandomBase32(kSecretLength)};
}

Result<JoinToken> ParseJoinToken(std::string_view text) {
  text = Trimmed(text);
  if (!text.starts_with(kPrefix)) return Invalid("the join token does not begin with ", kPrefix);
  text.remove_prefix(kPrefix.size());
  const std::size_t colons = text.find("::");
  if (colons == std::string_view::npos)
    return Invalid("the join token has no '::' after the fingerprint");
  const std::string_view fingerprint = text.substr(0, colons);
  if (!Consists(fingerprint, kFingerprintDigits, IsHex)) {
    return Invalid("the join token's fingerprint is not ", kFingerprintDigits,
                   " lower-case hexadecimal digits");
  }
  text.remove_prefix(colons + 2);
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos)
    return Invalid("the join token has no '.' between id and secret");
  const std::string_view id = text.substr(0, dot);
  const std::string_view secret = text.substr(dot + 1);
  if (!Consists(id, kIdLength, IsIdCharacter)) {
    return Invalid("the join token's id is not ", kIdLength, " characters of a-z and 0-9");
  }
  if (!Consists(secret, kSecretLength, IsSecretCharacter)) {
    return Invalid("the join token's secret is not ", kSecretLength,
                   " characters of a-z and 2-7: was it cut?");
  }
  return JoinToken{std::string(fingerprint), std::string(id), std::string(secret)};
}

std::string SecretHash(std::string_view salt, std::string_view secret) {
  Sha256Stream stream;
  stream.Add(salt);
  stream.Add(std::string_view(":"));
  stream.Add(secret);
  return Hex(stream.Finish());
}

bool SecretMatches(std::string_view salt, std::string_view hash, std::string_view secret) {
  return EqualInConstantTime(SecretHash(salt, secret), hash);
}

}  // namespace bramble
