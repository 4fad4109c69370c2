#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace bramble {

// What lets a new node in, and lets it check who it speaks to: "BR1<64 hex>::<id>.<secret>". The
// hex is the root's fingerprint; the id (6 of a-z0-9) is public; the secret (26 of a-z2-7, 130
// bits) is shown once and then forgotten by the cluster, which keeps a salted hash.
struct JoinToken {
  std::string fingerprint;
  std::string id;
  std::string secret;

  std::string ToString() const;
};

JoinToken MakeJoinToken(const std::string& fingerprint);

// InvalidArgument says what is wrong with the form, never the text itself. Surrounding white space
// is ignored.
Result<JoinToken> ParseJoinToken(std::string_view text);

// SHA-256 of salt and secret, hex: what the cluster keeps.
std::string SecretHash(std::string_view salt, std::string_view secret);
// In constant time.
bool SecretMatches(std::string_view salt, std::string_view hash, std::string_view secret);

}  // namespace bramble
