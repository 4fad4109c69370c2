#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// OpenSSL's objects with owners, and the few conversions that the files of this folder share. Not
// for others.
namespace bramble {

template <auto Free>
struct FreeWith {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using CertificatePtr = std::unique_ptr<X509, FreeWith<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;

// "what: reason", with the newest reason of OpenSSL's queue, which is emptied.
Status OpenSslFailure(Code code, std::string_view what);

Result<KeyPtr> MakeP256Key();
bool IsP256Key(const EVP_PKEY* key);
// PKCS#8, without a passphrase.
std::string KeyToPem(EVP_PKEY* key);
// `what` names the source in errors. A key with a passphrase is an error (nobody is asked for it).
Result<KeyPtr> KeyFromPem(std::string_view pem, std::string_view what);

std::string CertificateToPem(X509* certificate);
// One to eight certificates.
Result<std::vector<CertificatePtr>> CertificatesFromPem(std::string_view pem,
                                                        std::string_view what);

// 64 hex digits: SHA-256 of the DER of the SubjectPublicKeyInfo (RFC 7469, section 2.4).
std::string KeyFingerprint(X509* certificate);
// Hex, upper case, as OpenSSL shows it.
std::string SerialText(X509* certificate);
std::chrono::system_clock::time_point NotBefore(const X509* certificate);
std::chrono::system_clock::time_point NotAfter(const X509* certificate);
// All URI names of its subject.
std::vector<std::string> UriNames(X509* certificate);
// Signed by its own key.
bool IsSelfSigned(X509* certificate);

}  // namespace bramble
