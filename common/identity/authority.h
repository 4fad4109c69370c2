#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/identity/identity.h"
#include "common/status.h"

namespace bramble {

struct IssueOptions {
  std::chrono::system_clock::time_point now = std::chrono::system_clock::now();
  // Valid from ten minutes before `now` (boards without a clock battery are late) for this long
  // after it.
  std::chrono::seconds life = std::chrono::hours(24 * 7);
};

struct IssuedCertificate {
  std::string chain_pem;  // the leaf, then the root
  std::string serial;     // hex
  std::chrono::system_clock::time_point not_after;
};

// The cluster's private certificate authority: a P-256 key (mode 0600, never leaves the folder) and
// a root certificate of ten years that bears the cluster's id. Thread-safe.
class CertificateAuthority {
 public:
  // Makes a new one in `folder` (which is made if missing) with a random cluster id. AlreadyExists
  // if there is one.
  static Result<CertificateAuthority> Create(const std::string& folder);
  // NotFound if there is none; an error that names the file if something is broken or the key may
  // be read by others.
  static Result<CertificateAuthority> Load(const std::string& folder);
  static Result<CertificateAuthority> LoadOrCreate(const std::string& folder);

  ~CertificateAuthority();
  CertificateAuthority(CertificateAuthority&&) noexcept;
  CertificateAuthority& operator=(CertificateAuthority&&) noexcept;
  CertificateAuthority(const CertificateAuthority&) = delete;
  CertificateAuthority& operator=(const CertificateAuthority&) = delete;

  const std::string& cluster_id() const;
  const std::string& root_pem() const;
  // 64 hex digits: SHA-256 of the DER of the root's SubjectPublicKeyInfo, as in join tokens.
  const std::string& fingerprint() const;

  // A certificate for the key of a PKCS#10 request (DER). The request must be signed by its own
  // key, which must be P-256; every name in it is ignored: the certificate says `role` and
  // `node_id`. InvalidArgument otherwise, and for a node id that is not one, or that of the
  // coordinator for another role.
  Result<IssuedCertificate> Issue(std::string_view request_der, Role role,
                                  const std::string& node_id,
                                  const IssueOptions& options = {}) const;

 private:
  struct Parts;
  explicit CertificateAuthority(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace bramble
