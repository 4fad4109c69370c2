#pragma once

namespace bramble::internal {

// Prints the place and the condition to stderr and ends the process with abort().
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace bramble::internal

// A promise of our own code, checked in every build. What comes from outside is never CHECKed: it
// gets a Status.
#define CHECK(condition)        \
  (static_cast<bool>(condition) \
       ? static_cast<void>(0)   \
       : ::bramble::internal::CheckFailed(__FILE__, __LINE__, #condition))
