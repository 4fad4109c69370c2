#pragma once

#include "common/settings.h"

namespace bramble::coordinator {

// The coordinator's settings: flags, BRAMBLE_* variables and keys of coordinator.yaml.
const Command& CoordinatorCommand();

}  // namespace bramble::coordinator
