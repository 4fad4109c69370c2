#pragma once

#include "bramble/v1/program.pb.h"
#include "bramble/v1/run.pb.h"
#include "common/status.h"

namespace bramble::program {

// Verifies all of a program that a stranger may have sent, before anything is allocated for it:
// version, counts, every reference, the shape of every operation, encodings, sizes in 64 bits, that
// each value and each stream is written once and before it is read, that each cache has one
// attention that fills it.
//
// What follows may rely on every number of a program that passed. Anything that walks a program
// requires that it passed.
//
// INVALID_ARGUMENT: the program is wrong. UNIMPLEMENTED: it is a use of the instruction set that
// this version does not run. Both name the path, as "layer.3/attn_q: ...", and the reason. Pure;
// any thread.
Status CheckProgram(const v1::Program& program);

// That each limit is at least 1 and small enough to count memory with. Pure; any thread.
Status CheckLimits(const v1::Limits& limits);

}  // namespace bramble::program
