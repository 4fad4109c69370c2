#include "common/identity/authority.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "common/check.h"
#include "common/files.h"
#include "common/identity/openssl.h"
#include "common/sha256.h"

namespace bramble {
namespace {

using std::chrono::system_clock;
using NumberPtr = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, FreeWith<X509_EXTENSION_free>>;

constexpr auto kRootLife = std::chrono::hours(24 * 3652);
constexpr auto kRootLateness = std::chrono::hours(24);
constexpr auto kLeafLateness = std::chrono::minutes(10);
constexpr std::size_t kLargestFile = 65536;
constexpr std::size_t kLargestRequest = 16384;
constexpr std::size_t kClusterIdLength = 12;
constexpr std::string_view kUriScheme = "spiffe://";

// Key and certificate in one file, so that one cannot be there without the other.
std::string AuthorityPath(const std::string& folder) { return JoinPath(folder, "authority.pem"); }

void SetTime(ASN1_TIME* field, system_clock::time_point time) {
  CHECK(ASN1_TIME_set(field, system_clock::to_time_t(time)) != nullptr);
}

void SetRandomSerial(X509* certificate) {
  const NumberPtr number(BN_new());
  CHECK(number != nullptr && BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1);
  CHECK(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr);
}

void SetCommonName(X509* certificate, const std::string& name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  CHECK(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1,
                                   0) == 1);
}

// `value` is of our own making: node and cluster ids are checked before.
void AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

CertificatePtr NewCertificate(EVP_PKEY* key, system_clock::time_point begin,
                              system_clock::time_point end) {
  CertificatePtr certificate(X509_new());
  CHECK(certificate != nullptr);
  CHECK(X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  SetRandomSerial(certificate.get());
  SetTime(X509_getm_notBefore(certificate.get()), begin);
  SetTime(X509_getm_notAfter(certificate.get()), end);
  CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  return certificate;
}

CertificatePtr MakeRoot(EVP_PKEY* key, const std::string& cluster_id) {
  const auto now = system_clock::now();
  CertificatePtr root = NewCertificate(key, now - kRootLateness, now + kRootLife);
  SetCommonName(root.get(), "bramble " + cluster_id);
  CHECK(X509_set_issuer_name(root.get(), X509_get_subject_name(root.get())) == 1);
  AddExtension(root.get(), root.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  AddExtension(root.get(), root.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  AddExtension(root.get(), root.get(), NID_subject_key_identifier, "hash");
  AddExtension(root.get(), root.get(), NID_subject_alt_name,
               "URI:spiffe://" + cluster_id + ".bramble");
  CHECK(X509_sign(root.get(), key, EVP_sha256()) > 0);
  return root;
}

// The cluster id from the root's only URI, "spiffe://<cluster id>.bramble".
Result<std::string> ClusterIdOf(X509* root, const std::string& path) {
  const std::vector<std::string> uris = UriNames(root);
  if (uris.size() == 1 && uris[0].starts_with(kUriScheme)) {
    const auto parsed = ParseSpiffeId(uris[0] + "/coordinator/" + kCoordinatorNodeId);
    if (parsed.ok()) return parsed->cluster_id;
  }
  return Invalid("the root certificate in '", path, "' does not bear a cluster's id");
}

Status CheckSecretMode(const std::string& path) {
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0 || (facts.st_mode & 077U) == 0) return {};
  return Failed(
      "'", path,
      "' holds the cluster's key but others may read it: chmod 600 it, and make a new cluster if ",
      "somebody did");
}

Result<RequestPtr> ParseRequest(std::string_view der) {
  if (der.size() > kLargestRequest) {
    return Invalid("the certificate request has ", der.size(), " bytes, more than ",
                   kLargestRequest);
  }
  const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* end = begin;
  RequestPtr request(d2i_X509_REQ(nullptr, &end, static_cast<long>(der.size())));
  if (request == nullptr || end != begin + der.size()) {
    return OpenSslFailure(Code::kInvalidArgument,
                          "the certificate request is not one PKCS#10 request in DER form");
  }
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || !IsP256Key(key)) {
    return OpenSslFailure(Code::kInvalidArgument,
                          "the certificate request's key is not on the curve P-256");
  }
  if (X509_REQ_verify(request.get(), key) != 1) {
    return OpenSslFailure(Code::kInvalidArgument,
                          "the certificate request is not signed by its own key");
  }
  return request;
}

}  // namespace

struct CertificateAuthority::Parts {
  KeyPtr key;
  CertificatePtr root;
  std::string cluster_id;
  std::string root_pem;
  std::string fingerprint;
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<Parts> parts)
    : parts_(std::move(parts)) {}
CertificateAuthority::~CertificateAuthority() = default;
CertificateAuthority::CertificateAuthority(CertificateAuthority&&) noexcept = default;
CertificateAuthority& CertificateAuthority::operator=(CertificateAuthority&&) noexcept = default;

const std::string& CertificateAuthority::cluster_id() const { return parts_->cluster_id; }
const std::string& CertificateAuthority::root_pem() const { return parts_->root_pem; }
const std::string& CertificateAuthority::fingerprint() const { return parts_->fingerprint; }

Result<CertificateAuthority> CertificateAuthority::Create(const std::string& folder) {
  RETURN_IF_ERROR(MakeFolders(folder, 0700));
  ASSIGN_OR_RETURN(const KeyPtr key, MakeP256Key());
  const CertificatePtr root = MakeRoot(key.get(), RandomBase32(kClusterIdLength));
  RETURN_IF_ERROR(WriteNewFile(AuthorityPath(folder),
                               KeyToPem(key.get()) + CertificateToPem(root.get()), 0600));
  return Load(folder);
}

Result<CertificateAuthority> CertificateAuthority::Load(const std::string& folder) {
  const std::string path = AuthorityPath(folder);
  ASSIGN_OR_RETURN(const std::string pem, ReadSmallFile(path, kLargestFile));
  RETURN_IF_ERROR(CheckSecretMode(path));
  auto parts = std::make_unique<Parts>();
  ASSIGN_OR_RETURN(parts->key, KeyFromPem(pem, "'" + path + "'"));
  ASSIGN_OR_RETURN(std::vector<CertificatePtr> certificates,
                   CertificatesFromPem(pem, "'" + path + "'"));
  parts->root = std::move(certificates[0]);
  if (X509_check_private_key(parts->root.get(), parts->key.get()) != 1 ||
      !IsSelfSigned(parts->root.get())) {
    return OpenSslFailure(Code::kInvalidArgument,
                          "the key in '" + path + "' is not that of its root certificate");
  }
  ASSIGN_OR_RETURN(parts->cluster_id, ClusterIdOf(parts->root.get(), path));
  parts->root_pem = CertificateToPem(parts->root.get());
  parts->fingerprint = KeyFingerprint(parts->root.get());
  return CertificateAuthority(std::move(parts));
}

Result<CertificateAuthority> CertificateAuthority::LoadOrCreate(const std::string& folder) {
  auto loaded = Load(folder);
  if (loaded.ok() || loaded.status().code() != Code::kNotFound) return loaded;
  auto created = Create(folder);
  // Somebody else was faster.
  if (!created.ok() && created.status().code() == Code::kAlreadyExists) return Load(folder);
  return created;
}

Result<IssuedCertificate> CertificateAuthority::Issue(std::string_view request_der, Role role,
                                                      const std::string& node_id,
                                                      const IssueOptions& options) const {
  RETURN_IF_ERROR(CheckNodeId(node_id));
  if ((node_id == kCoordinatorNodeId) != (role == Role::kCoordinator)) {
    return Invalid("the node id '", node_id, "' does not go with the role ", RoleName(role), ": '",
                   kCoordinatorNodeId, "' names the coordinator and nobody else");
  }
  ASSIGN_OR_RETURN(const RequestPtr request, ParseRequest(request_der));
  const auto end = std::min(options.now + options.life, NotAfter(parts_->root.get()));
  const CertificatePtr leaf =
      NewCertificate(X509_REQ_get0_pubkey(request.get()), options.now - kLeafLateness, end);
  SetCommonName(leaf.get(), node_id);
  CHECK(X509_set_issuer_name(leaf.get(), X509_get_subject_name(parts_->root.get())) == 1);
  AddExtension(leaf.get(), parts_->root.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(leaf.get(), parts_->root.get(), NID_key_usage, "critical,digitalSignature");
  AddExtension(leaf.get(), parts_->root.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  AddExtension(leaf.get(), parts_->root.get(), NID_subject_key_identifier, "hash");
  AddExtension(leaf.get(), parts_->root.get(), NID_authority_key_identifier, "keyid:always");
  // The second name is for HTTPS clients that ask many members and can expect only one name, as
  // Prometheus does. No node id has a dot: it can't be taken for one.
  AddExtension(leaf.get(), parts_->root.get(), NID_subject_alt_name,
               "URI:" + SpiffeId({role, node_id, parts_->cluster_id}) + ",DNS:" + node_id +
                   ",DNS:" + RoleName(role) + ".bramble");
  CHECK(X509_sign(leaf.get(), parts_->key.get(), EVP_sha256()) > 0);
  return IssuedCertificate{CertificateToPem(leaf.get()) + parts_->root_pem, SerialText(leaf.get()),
                           NotAfter(leaf.get())};
}

}  // namespace bramble
