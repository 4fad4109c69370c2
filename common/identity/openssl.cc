#include "common/identity/openssl.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <ctime>

#include "common/check.h"
#include "common/sha256.h"

namespace bramble {
namespace {

using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, FreeWith<GENERAL_NAMES_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;

constexpr std::size_t kMostCertificates = 8;

BioPtr Reader(std::string_view text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  CHECK(bio != nullptr);
  return bio;
}

BioPtr Writer() {
  BioPtr bio(BIO_new(BIO_s_mem()));
  CHECK(bio != nullptr);
  return bio;
}

std::string Written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::chrono::system_clock::time_point FromAsn1(const ASN1_TIME* time) {
  std::tm parts{};
  CHECK(ASN1_TIME_to_tm(time, &parts) == 1);
  return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

// Instead of OpenSSL's question on the terminal.
int NoPassphrase(char*, int, int, void*) { return -1; }

}  // namespace

Status OpenSslFailure(Code code, std::string_view what) {
  std::array<char, 256> reason{};
  const unsigned long error = ERR_peek_last_error();
  ERR_error_string_n(error, reason.data(), reason.size());
  ERR_clear_error();
  if (error == 0) return internal::MakeStatus(code, what);
  return internal::MakeStatus(code, what, ": ", reason.data());
}

Result<KeyPtr> MakeP256Key() {
  KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return OpenSslFailure(Code::kInternal, "cannot make a P-256 key");
  return key;
}

bool IsP256Key(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) == 1 &&
         std::strcmp(group.data(), "prime256v1") == 0;
}

std::string KeyToPem(EVP_PKEY* key) {
  const BioPtr bio = Writer();
  CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return Written(bio.get());
}

Result<KeyPtr> KeyFromPem(std::string_view pem, std::string_view what) {
  KeyPtr key(PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, NoPassphrase, nullptr));
  if (key == nullptr) {
    return OpenSslFailure(Code::kInvalidArgument,
                          std::string(what) + " holds no private key in PEM form");
  }
  return key;
}

std::string CertificateToPem(X509* certificate) {
  const BioPtr bio = Writer();
  CHECK(PEM_write_bio_X509(bio.get(), certificate) == 1);
  return Written(bio.get());
}

Result<std::vector<CertificatePtr>> CertificatesFromPem(std::string_view pem,
                                                        std::string_view what) {
  std::vector<CertificatePtr> certificates;
  const BioPtr bio = Reader(pem);
  for (;;) {
    CertificatePtr next(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (next == nullptr) break;
    if (certificates.size() == kMostCertificates) {
      return Invalid(what, " holds more than ", kMostCertificates, " certificates");
    }
    certificates.push_back(std::move(next));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (certificates.empty() || !at_end) {
    return OpenSslFailure(Code::kInvalidArgument,
                          std::string(what) + " holds no sound certificate in PEM form");
  }
  ERR_clear_error();
  return certificates;
}

std::string KeyFingerprint(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  CHECK(size > 0);
  const std::string info(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return Hex(Sha256Of(info));
}

std::string SerialText(X509* certificate) {
  const NumberPtr number(ASN1_INTEGER_to_BN(X509_get_serialNumber(certificate), nullptr));
  CHECK(number != nullptr);
  char* digits = BN_bn2hex(number.get());
  CHECK(digits != nullptr);
  std::string text(digits);
  OPENSSL_free(digits);
  return text;
}

std::chrono::system_clock::time_point NotBefore(const X509* certificate) {
  return FromAsn1(X509_get0_notBefore(certificate));
}

std::chrono::system_clock::time_point NotAfter(const X509* certificate) {
  return FromAsn1(X509_get0_notAfter(certificate));
}

std::vector<std::string> UriNames(X509* certificate) {
  const NamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<std::string> uris;
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                      static_cast<std::size_t>(ASN1_STRING_length(uri)));
  }
  return uris;
}

bool IsSelfSigned(X509* certificate) {
  const bool self = X509_self_signed(certificate, /*verify_signature=*/1) == 1;
  ERR_clear_error();
  return self;
}

}  // namespace bramble
