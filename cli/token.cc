// bramble token create, list, delete: on the coordinator's host, in its state folder.
#include <chrono>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "common/files.h"
#include "common/identity/authority.h"
#include "coordinator/state/folders.h"
#include "coordinator/state/store.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;
using coordinator::Store;

Result<std::unique_ptr<Store>> OpenStore(const Settings& settings) {
  return Store::Open(settings.Text("state"));
}

Result<JoinToken> Create(const Settings& settings) {
  ASSIGN_OR_RETURN(
      const CertificateAuthority authority,
      CertificateAuthority::Load(coordinator::AuthorityFolder(settings.Text("state"))));
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(settings));
  coordinator::NewToken token;
  token.uses = settings.Integer("uses");
  token.description = settings.TextOr("description", "");
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(settings.Duration("ttl"));
  token.life = life.count() == 0 ? std::nullopt : std::optional(life);
  return store->CreateToken(authority.fingerprint(), token, std::chrono::system_clock::now());
}

std::string When(const std::optional<coordinator::Time>& time) {
  if (!time) return "never";
  const std::time_t seconds = std::chrono::system_clock::to_time_t(*time);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

int RunTokenCreate(const Settings& settings) {
  const auto token = Create(settings);
  if (!token.ok()) return Fail(token.status());
  if (settings.Switch("json")) {
    std::printf("%s\n", Json{{"id", token->id}, {"token", token->ToString()}}.dump().c_str());
  } else if (settings.Switch("print-join-command")) {
    std::printf(
        "printf '%%s' '%s' > join-token && bramble-worker --join %s --token-file join-token "
        "--state worker\n",
        token->ToString().c_str(), settings.TextOr("address", "COORDINATOR:8478").c_str());
  } else {
    std::printf("%s\n", token->ToString().c_str());
  }
  return 0;
}

int RunTokenList(const Settings& settings) {
  const auto store = OpenStore(settings);
  if (!store.ok()) return Fail(store.status());
  const auto tokens = (*store)->Tokens();
  if (!tokens.ok()) return Fail(tokens.status());
  Json list = Json::array();
  Table table({"ID", "ROLE", "USES LEFT", "EXPIRES", "DESCRIPTION"});
  for (const coordinator::TokenRecord& token : *tokens) {
    list.push_back({{"id", token.id},
                    {"role", RoleName(token.role)},
                    {"uses_left", token.uses_left},
                    {"expires", When(token.expires)},
                    {"description", token.description}});
    table.AddRow({token.id, RoleName(token.role), std::to_string(token.uses_left),
                  When(token.expires), token.description});
  }
  std::fputs(settings.Switch("json") ? (list.dump() + "\n").c_str() : table.Text().c_str(), stdout);
  return 0;
}

int RunTokenDelete(const Settings& settings) {
  const auto store = OpenStore(settings);
  if (!store.ok()) return Fail(store.status());
  const Status status = (*store)->DeleteToken(settings.Text("id"));
  return status.ok() ? 0 : Fail(status);
}

}  // namespace bramble::cli
