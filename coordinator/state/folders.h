#pragma once

#include <string>

namespace bramble::coordinator {

// Where the parts of a coordinator's state lie; the daemon and the command line both look there.
inline std::string AuthorityFolder(const std::string& state_dir) {
  return state_dir + "/authority";
}
inline std::string IdentityFolder(const std::string& state_dir) { return state_dir + "/identity"; }

}  // namespace bramble::coordinator
