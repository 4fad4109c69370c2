#pragma once

#include "common/settings.h"

namespace bramble::worker {

// The worker's settings: flags, BRAMBLE_* variables and keys of worker.yaml.
const Command& WorkerCommand();

}  // namespace bramble::worker
