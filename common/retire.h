#pragma once

#include <memory>

namespace bramble {

// Lets go of an object on a thread of its own, soon. Any thread; never blocks for long.
//
// For calls that end on one of gRPC's threads and are the last to hold their channel: a channel
// must not be destroyed there (https://github.com/grpc/grpc/issues/37858 and 37198). The call hands
// itself over as the last thing that its OnDone does, and touches nothing of itself afterwards.
void Retire(std::shared_ptr<void> object);

}  // namespace bramble
