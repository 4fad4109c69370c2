#pragma once

#include <string>

#include "common/status.h"

namespace bramble::cli {

// Prints "bramble: MESSAGE" to stderr and returns 1.
int Fail(const Status& status);

// True where stderr is a terminal.
bool OnTerminal();

// A line about what goes on: on a terminal it replaces the last one, elsewhere it is a line of its
// own. To stderr.
void SayProgress(const std::string& line);
// Ends the line that SayProgress keeps on a terminal.
void EndProgress();

}  // namespace bramble::cli
