#pragma once

#include "bramble/v1/program.pb.h"
#include "common/status.h"
#include "proto/program/shapes.h"

namespace bramble::program {

// The row of a meeting in the table of operations.
Status CheckMeet(const Site& site);

// That the operation takes its input `i` in the form A8_32.
bool TakesA8(const v1::Operation& op, int i);

// That whoever reads what comes in the form A8_32 takes that form. The rest of the block must have
// been checked. The message begins with the operation's place in the block.
Status CheckReadersOfMeetings(const v1::Block& block);

}  // namespace bramble::program
