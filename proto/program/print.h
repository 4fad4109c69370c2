#pragma once

#include <string>

#include "bramble/v1/program.pb.h"

namespace bramble::program {

// The program as text for people: header, streams, caches, then a line for each operation. Runs of
// blocks that differ only in names and weights are printed once, with their count. Requires a
// checked program. Pure; any thread.
std::string PrintProgram(const v1::Program& program);

}  // namespace bramble::program
