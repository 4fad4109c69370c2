#pragma once

#include <span>
#include <string>
#include <string_view>

#include "common/settings.h"

namespace bramble {

// Manual pages in roff, from the same tables as the help. Debian's packages install them.

// Of a program that is one command: a daemon (section 8). `file` is its settings file.
std::string ManualPage(const Command& command, std::string_view file);
// Of a program with verbs (section 1): all of them with their settings.
std::string ManualPage(std::string_view program, std::string_view summary,
                       std::span<const Command> verbs);

}  // namespace bramble
