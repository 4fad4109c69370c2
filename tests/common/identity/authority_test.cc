#include "common/identity/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "common/files.h"
#include "common/identity/node_identity.h"
#include "common/identity/openssl.h"
#include "common/sha256.h"

namespace bramble {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::system_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string RequestOf(EVP_PKEY* key) {
  const RequestPtr request(X509_REQ_new());
  CHECK(X509_REQ_set_pubkey(request.get(), key) == 1);
  CHECK(X509_REQ_sign(request.get(), key, EVP_sha256()) > 0);
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request.get(), &der);
  std::string text(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  return text;
}

std::string CommonName(X509* certificate) {
  char name[128] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

class Authority : public ::testing::Test {
 protected:
  Authority()
      : folder_(*TemporaryFolder::Make()), authority_(*CertificateAuthority::Create(Path())) {}

  std::string Path() const { return JoinPath(folder_.path(), "authority"); }
  std::string File() const { return JoinPath(Path(), "authority.pem"); }
  Result<IssuedCertificate> Issue(std::string_view request, Role role = Role::kWorker,
                                  const std::string& node_id = "pi-3") const {
    return authority_.Issue(request, role, node_id);
  }

  TemporaryFolder folder_;
  CertificateAuthority authority_;
};

TEST_F(Authority, KeepsItsKeyForItselfAndIsTheSameAfterARestart) {
  struct stat facts {};
  ASSERT_EQ(::stat(File().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  ASSERT_EQ(::stat(Path().c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0700U);
  const auto loaded = CertificateAuthority::LoadOrCreate(Path());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->cluster_id(), authority_.cluster_id());
  EXPECT_EQ(loaded->fingerprint(), authority_.fingerprint());
  EXPECT_EQ(loaded->root_pem(), authority_.root_pem());
}

TEST_F(Authority, IsNotMadeASecondTimeInOneFolder) {
  EXPECT_EQ(CertificateAuthority::Create(Path()).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(CertificateAuthority::Load(Path())->fingerprint(), authority_.fingerprint());
}

TEST_F(Authority, RefusesAKeyThatOthersMayRead) {
  ASSERT_EQ(::chmod(File().c_str(), 0640), 0);
  const auto loaded = CertificateAuthority::Load(Path());
  EXPECT_EQ(loaded.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(loaded.status().message(), HasSubstr("chmod 600"));
}

TEST_F(Authority, RefusesBrokenFilesByName) {
  const std::string sound = *ReadSmallFile(File(), 65536);
  const CertificateAuthority other =
      *CertificateAuthority::Create(JoinPath(folder_.path(), "other"));
  const std::string key = sound.substr(0, sound.find("-----BEGIN CERTIFICATE"));
  for (const std::string& broken : {std::string(), std::string("rubbish"), key,
                                    sound.substr(0, sound.size() / 2), key + other.root_pem()}) {
    ASSERT_TRUE(WriteFileAtomically(File(), broken, 0600).ok());
    const auto loaded = CertificateAuthority::LoadOrCreate(Path());
    EXPECT_EQ(loaded.status().code(), Code::kInvalidArgument);
    EXPECT_THAT(loaded.status().message(), HasSubstr(File()));
  }
}

TEST_F(Authority, ItsFingerprintIsTheHashOfTheRootsKey) {
  const auto roots = CertificatesFromPem(authority_.root_pem(), "root");
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(X509_get0_pubkey((*roots)[0].get()), &der);
  const std::string key(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  EXPECT_EQ(authority_.fingerprint(), Hex(Sha256Of(key)));
}

TEST_F(Authority, CertifiesRoleAndNodeOfItsOwnChoosingOnly) {
  const auto made = MakeKeyAndRequest("coordinator");  // what the request wishes does not count
  const auto before = system_clock::now();
  const auto issued = Issue(made->request_der);
  ASSERT_TRUE(issued.ok()) << issued.status().message();
  const auto chain = CertificatesFromPem(issued->chain_pem, "chain");
  ASSERT_EQ(chain->size(), 2U);
  X509* leaf = (*chain)[0].get();
  EXPECT_EQ(CommonName(leaf), "pi-3");
  EXPECT_THAT(UriNames(leaf),
              ElementsAre("spiffe://" + authority_.cluster_id() + ".bramble/worker/pi-3"));
  EXPECT_EQ(X509_check_host(leaf, "pi-3", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(leaf, kCoordinatorNodeId, 0, 0, nullptr), 0);
  EXPECT_EQ(X509_check_ca(leaf), 0);
  EXPECT_EQ(X509_get_key_usage(leaf), static_cast<std::uint32_t>(KU_DIGITAL_SIGNATURE));
  EXPECT_EQ(X509_get_extended_key_usage(leaf),
            static_cast<std::uint32_t>(XKU_SSL_SERVER | XKU_SSL_CLIENT));
  EXPECT_EQ(SerialText(leaf), issued->serial);
  EXPECT_NEAR(std::chrono::duration<double>(before - minutes(10) - NotBefore(leaf)).count(), 0, 5);
  EXPECT_NEAR(std::chrono::duration<double>(before + hours(24 * 7) - NotAfter(leaf)).count(), 0, 5);
  EXPECT_EQ(NotAfter(leaf), issued->not_after);
  EXPECT_NE(X509_check_ca((*chain)[1].get()), 0);
}

TEST_F(Authority, GivesEveryCertificateAnotherSerial) {
  const auto made = MakeKeyAndRequest("x");
  EXPECT_NE(Issue(made->request_der)->serial, Issue(made->request_der)->serial);
}

TEST_F(Authority, GivesTheCoordinatorsNameToNobodyElse) {
  const auto made = MakeKeyAndRequest("x");
  EXPECT_EQ(Issue(made->request_der, Role::kWorker, kCoordinatorNodeId).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(Issue(made->request_der, Role::kCoordinator, "pi-3").status().code(),
            Code::kInvalidArgument);
  EXPECT_TRUE(Issue(made->request_der, Role::kCoordinator, kCoordinatorNodeId).ok());
  for (const char* bad : {"", "a,DNS:b", "A", "a\nb"}) {
    EXPECT_EQ(Issue(made->request_der, Role::kWorker, bad).status().code(), Code::kInvalidArgument)
        << bad;
  }
}

TEST_F(Authority, RefusesRequestsThatAreNone) {
  const std::string sound = MakeKeyAndRequest("x")->request_der;
  std::string tampered = sound;
  tampered.back() = static_cast<char>(tampered.back() ^ 1);
  const KeyPtr rsa(EVP_RSA_gen(2048));
  const KeyPtr p384(EVP_EC_gen("P-384"));
  for (const std::string& bad :
       {std::string(), std::string("rubbish"), sound.substr(0, 50), sound + "x", tampered,
        RequestOf(rsa.get()), RequestOf(p384.get()), std::string(20000, '0')}) {
    EXPECT_EQ(Issue(bad).status().code(), Code::kInvalidArgument) << bad.size();
  }
  EXPECT_TRUE(Issue(sound).ok());
}

}  // namespace
}  // namespace bramble
