#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>

#include "common/files.h"
#include "common/identity/authority.h"
#include "common/identity/credentials.h"
#include "common/identity/node_identity.h"

namespace bramble {

// A real authority in a temporary folder, and members with real certificates.
class TestAuthority {
 public:
  TestAuthority() {
    auto folder = TemporaryFolder::Make();
    EXPECT_TRUE(folder.ok()) << folder.status().message();
    folder_ = std::make_unique<TemporaryFolder>(*std::move(folder));
    auto authority = CertificateAuthority::Create(folder_->path() + "/authority");
    EXPECT_TRUE(authority.ok()) << authority.status().message();
    authority_ = std::make_unique<CertificateAuthority>(*std::move(authority));
  }

  // A folder for whatever a test keeps; removed at its end.
  const std::string& folder() const { return folder_->path(); }
  const CertificateAuthority& authority() const { return *authority_; }

  IdentityStore Issue(Role role, const std::string& node_id, const IssueOptions& options = {}) {
    const IdentityStore store(folder() + "/identities/" + node_id);
    const auto key = MakeKeyAndRequest(node_id);
    EXPECT_TRUE(key.ok()) << key.status().message();
    const auto certificate = authority_->Issue(key->request_der, role, node_id, options);
    EXPECT_TRUE(certificate.ok()) << certificate.status().message();
    const auto identity =
        MakeNodeIdentity(key->key_pem, certificate->chain_pem, authority_->root_pem());
    EXPECT_TRUE(identity.ok()) << identity.status().message();
    const Status saved = store.Save(*identity);
    EXPECT_TRUE(saved.ok()) << saved.message();
    return store;
  }

 private:
  std::unique_ptr<TemporaryFolder> folder_;
  std::unique_ptr<CertificateAuthority> authority_;
};

}  // namespace bramble
