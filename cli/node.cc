// bramble node remove: on the coordinator's host, in its state folder.
#include "cli/report.h"
#include "cli/verbs.h"
#include "common/identity/identity.h"
#include "coordinator/state/store.h"

namespace bramble::cli {
namespace {

Status Remove(const Settings& settings) {
  const std::string& node = settings.Text("node");
  if (node == kCoordinatorNodeId) return Invalid("the coordinator can't be removed");
  ASSIGN_OR_RETURN(const auto store, coordinator::Store::Open(settings.Text("state")));
  return store->RemoveMember(node);
}

}  // namespace

int RunNodeRemove(const Settings& settings) {
  const Status status = Remove(settings);
  return status.ok() ? 0 : Fail(status);
}

}  // namespace bramble::cli
