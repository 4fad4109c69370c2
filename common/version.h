#pragma once

namespace bramble {

// As CMakeLists.txt says.
inline constexpr const char* kVersion = BRAMBLE_VERSION;

}  // namespace bramble
