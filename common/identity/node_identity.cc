#include "common/identity/node_identity.h"

#include <openssl/x509_vfy.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/check.h"
#include "common/files.h"
#include "common/identity/openssl.h"
#include "common/sha256.h"

namespace bramble {
namespace {

using StorePtr = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, FreeWith<X509_STORE_CTX_free>>;
using NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;

constexpr std::size_t kLargestFile = 65536;
constexpr const char* kCurrent = "current";
constexpr std::string_view kVersionPrefix = "identity-";

// Whether the roots signed the leaf, whatever the time is.
Status CheckSignature(X509* leaf, const std::vector<CertificatePtr>& roots) {
  const StorePtr store(X509_STORE_new());
  const StoreContextPtr context(X509_STORE_CTX_new());
  CHECK(store != nullptr && context != nullptr);
  for (const CertificatePtr& root : roots) CHECK(X509_STORE_add_cert(store.get(), root.get()) == 1);
  CHECK(X509_STORE_CTX_init(context.get(), store.get(), leaf, nullptr) == 1);
  X509_STORE_CTX_set_flags(context.get(), X509_V_FLAG_NO_CHECK_TIME);
  if (X509_verify_cert(context.get()) == 1) return {};
  return OpenSslFailure(Code::kInvalidArgument,
                        std::string("the root did not sign the certificate: ") +
                            X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

Result<NodeIdentity> LoadFrom(const std::string& folder) {
  ASSIGN_OR_RETURN(const std::string key, ReadSmallFile(JoinPath(folder, "key.pem"), kLargestFile));
  ASSIGN_OR_RETURN(const std::string chain,
                   ReadSmallFile(JoinPath(folder, "chain.pem"), kLargestFile));
  ASSIGN_OR_RETURN(const std::string root,
                   ReadSmallFile(JoinPath(folder, "root.pem"), kLargestFile));
  return MakeNodeIdentity(key, chain, root);
}

}  // namespace

Result<KeyAndRequest> MakeKeyAndRequest(std::string_view name) {
  ASSIGN_OR_RETURN(const KeyPtr key, MakeP256Key());
  const RequestPtr request(X509_REQ_new());
  const NamePtr subject(X509_NAME_new());
  CHECK(request != nullptr && subject != nullptr);
  const std::string id = NodeIdFrom(name);
  CHECK(X509_NAME_add_entry_by_txt(subject.get(), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(id.c_str()), -1, -1,
                                   0) == 1);
  CHECK(X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1);
  CHECK(X509_REQ_set_subject_name(request.get(), subject.get()) == 1);
  CHECK(X509_REQ_set_pubkey(request.get(), key.get()) == 1);
  CHECK(X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0);
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  CHECK(size > 0);
  KeyAndRequest made{KeyToPem(key.get()), std::string(reinterpret_cast<const char*>(der),
                                                      static_cast<std::size_t>(size))};
  OPENSSL_free(der);
  return made;
}

double NodeIdentity::DaysLeft(std::chrono::system_clock::time_point now) const {
  return std::chrono::duration<double, std::ratio<86400>>(not_after - now).count();
}

bool NodeIdentity::ShouldRenew(std::chrono::system_clock::time_point now) const {
  return now >= not_before + (not_after - not_before) * 2 / 3;
}

Result<NodeIdentity> MakeNodeIdentity(const std::string& key_pem, const std::string& chain_pem,
                                      const std::string& root_pem) {
  ASSIGN_OR_RETURN(const KeyPtr key, KeyFromPem(key_pem, "the key"));
  ASSIGN_OR_RETURN(const std::vector<CertificatePtr> chain,
                   CertificatesFromPem(chain_pem, "the certificate chain"));
  ASSIGN_OR_RETURN(const std::vector<CertificatePtr> roots,
                   CertificatesFromPem(root_pem, "the root"));
  X509* leaf = chain[0].get();
  if (X509_check_private_key(leaf, key.get()) != 1) {
    return OpenSslFailure(Code::kInvalidArgument, "the certificate is for another key");
  }
  RETURN_IF_ERROR(CheckSignature(leaf, roots));
  const std::vector<std::string> uris = UriNames(leaf);
  if (uris.size() != 1)
    return Invalid("the certificate has ", uris.size(), " URI names where exactly one belongs");
  NodeIdentity identity;
  ASSIGN_OR_RETURN(identity.who, ParseSpiffeId(uris[0]));
  identity.key_pem = key_pem;
  identity.chain_pem = chain_pem;
  identity.root_pem = root_pem;
  identity.serial = SerialText(leaf);
  identity.not_before = NotBefore(leaf);
  identity.not_after = NotAfter(leaf);
  return identity;
}

std::string IdentityStore::key_path() const {
  return JoinPath(JoinPath(folder_, kCurrent), "key.pem");
}
std::string IdentityStore::chain_path() const {
  return JoinPath(JoinPath(folder_, kCurrent), "chain.pem");
}
std::string IdentityStore::root_path() const {
  return JoinPath(JoinPath(folder_, kCurrent), "root.pem");
}

Result<NodeIdentity> IdentityStore::Load() const {
  std::string tried;
  for (;;) {
    // The link is followed once, so that all three files are of one version. A writer may remove
    // that version meanwhile; then the link has moved on, and so do we.
    std::error_code error;
    const std::string version =
        std::filesystem::read_symlink(JoinPath(folder_, kCurrent), error).string();
    if (error)
      return NotFound("there is no identity in '", folder_,
                      "' yet: the node has not joined a cluster");
    auto identity = LoadFrom(JoinPath(folder_, version));
    if (identity.ok()) return identity;
    if (identity.status().code() != Code::kNotFound || version == tried) {
      return identity.status().WithContext("the identity in '" + folder_ + "'");
    }
    tried = version;
  }
}

Status IdentityStore::Save(const NodeIdentity& identity) const {
  RETURN_IF_ERROR(MakeFolders(folder_, 0700));
  const std::string version = std::string(kVersionPrefix) + RandomBase32(10);
  const std::string version_path = JoinPath(folder_, version);
  RETURN_IF_ERROR(MakeFolders(version_path, 0700));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(version_path, "key.pem"), identity.key_pem, 0600));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(version_path, "chain.pem"), identity.chain_pem));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(version_path, "root.pem"), identity.root_pem));
  std::error_code error;
  const std::string current = JoinPath(folder_, kCurrent);
  const std::string replaced = std::filesystem::read_symlink(current, error).string();
  const std::string link = current + ".new-" + RandomBase32(10);
  if (::symlink(version.c_str(), link.c_str()) != 0 ||
      ::rename(link.c_str(), current.c_str()) != 0) {
    return Failed("cannot make '", current,
                  "' point to the new identity: ", std::generic_category().message(errno));
  }
  RETURN_IF_ERROR(SyncFolder(folder_));
  // The one just replaced stays until the next time: a reader may be between two of its files.
  for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kVersionPrefix) && name != version && name != replaced) {
      std::error_code ignored;  // an old folder that stays does no harm
      std::filesystem::remove_all(entry.path(), ignored);
    }
  }
  return {};
}

}  // namespace bramble
