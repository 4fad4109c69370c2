// bramble certificate create: a client's certificate, for who is no node but may see the cluster's
// inside: Prometheus. On the coordinator's host, in its state folder.
#include <chrono>
#include <cstdio>
#include <ctime>

#include "cli/report.h"
#include "cli/verbs.h"
#include "common/files.h"
#include "common/identity/authority.h"
#include "common/identity/node_identity.h"
#include "coordinator/state/folders.h"

namespace bramble::cli {
namespace {

Result<IssuedCertificate> Create(const Settings& settings, const std::string& folder) {
  ASSIGN_OR_RETURN(
      const CertificateAuthority authority,
      CertificateAuthority::Load(coordinator::AuthorityFolder(settings.Text("state"))));
  const std::string& name = settings.Text("name");
  ASSIGN_OR_RETURN(const KeyAndRequest key, MakeKeyAndRequest(name));
  IssueOptions options;
  options.life = std::chrono::duration_cast<std::chrono::seconds>(settings.Duration("ttl"));
  if (options.life <= std::chrono::seconds(0)) return Invalid("ttl: must be longer than nothing");
  ASSIGN_OR_RETURN(IssuedCertificate made,
                   authority.Issue(key.request_der, Role::kClient, name, options));
  RETURN_IF_ERROR(MakeFolders(folder, 0750));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(folder, "root.pem"), authority.root_pem()));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(folder, "chain.pem"), made.chain_pem));
  RETURN_IF_ERROR(WriteFileAtomically(JoinPath(folder, "key.pem"), key.key_pem, 0600));
  return made;
}

}  // namespace

int RunCertificateCreate(const Settings& settings) {
  const std::string& folder = settings.Text("out");
  const auto made = Create(settings, folder);
  if (!made.ok()) return Fail(made.status());
  const std::time_t end = std::chrono::system_clock::to_time_t(made->not_after);
  std::tm parts{};
  gmtime_r(&end, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  std::printf("%s/{key,chain,root}.pem, valid until %s\n", folder.c_str(), text);
  return 0;
}

}  // namespace bramble::cli
