#include "common/identity/join_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bramble {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kHex(64, 'a');
const std::string kSecret = "abcdefghijklmnopqrstuvwxyz";

TEST(JoinToken, IsReadAsItWasWritten) {
  const JoinToken made = MakeJoinToken(kHex);
  const auto parsed = ParseJoinToken("  " + made.ToString() + "\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->fingerprint, kHex);
  EXPECT_EQ(parsed->id, made.id);
  EXPECT_EQ(parsed->secret, made.secret);
  EXPECT_EQ(made.ToString().size(), 3U + 64 + 2 + 6 + 1 + 26);
}

TEST(JoinToken, IsNeverTheSameTwice) {
  EXPECT_NE(MakeJoinToken(kHex).secret, MakeJoinToken(kHex).secret);
}

TEST(JoinToken, RefusesEveryOtherFormAndSaysWhyWithoutTheSecret) {
  struct Case {
    std::string text;
    const char* why;
  };
  const Case cases[] = {
      {"", "does not begin with BR1"},
      {"K10" + kHex + "::abc123." + kSecret, "does not begin with BR1"},
      {"BR1" + kHex, "no '::'"},
      {"BR1::abc123." + kSecret, "fingerprint"},
      {"BR1" + kHex.substr(1) + "::abc123." + kSecret, "fingerprint"},
      {"BR1" + std::string(64, 'A') + "::abc123." + kSecret, "fingerprint"},
      {"BR1" + std::string(64, 'g') + "::abc123." + kSecret, "fingerprint"},
      {"BR1" + kHex + "::abc123" + kSecret, "no '.'"},
      {"BR1" + kHex + "::abc12." + kSecret, "id"},
      {"BR1" + kHex + "::ABC123." + kSecret, "id"},
      {"BR1" + kHex + "::abc123." + kSecret.substr(1), "secret"},
      {"BR1" + kHex + "::abc123." + kSecret + "a", "secret"},
      {"BR1" + kHex + "::abc123." + kSecret.substr(1) + "1", "secret"},
      {"BR1" + kHex + "::abc123." + kSecret.substr(1) + std::string(1, '\0'), "secret"},
  };
  for (const Case& c : cases) {
    const auto parsed = ParseJoinToken(c.text);
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << c.text;
    EXPECT_THAT(parsed.status().message(), HasSubstr(c.why));
    EXPECT_THAT(parsed.status().message(), Not(HasSubstr(kSecret.substr(1))));
  }
}

TEST(JoinToken, MatchesOnlyItsOwnSecretUnderItsOwnSalt) {
  const std::string hash = SecretHash("salt", kSecret);
  EXPECT_EQ(hash.size(), 64U);
  EXPECT_TRUE(SecretMatches("salt", hash, kSecret));
  EXPECT_FALSE(SecretMatches("salt", hash, kSecret + "x"));
  EXPECT_FALSE(SecretMatches("other", hash, kSecret));
  EXPECT_FALSE(SecretMatches("salt", "", kSecret));
}

}  // namespace
}  // namespace bramble
