#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <ostream>

namespace bramble {

// A number with a meaning: Named<struct WorkerIdTag, std::uint32_t> is not a LayerIndex.
template <typename Tag, typename T>
class Named {
 public:
  constexpr Named() = default;
  constexpr explicit Named(T value) : value_(value) {}
  constexpr T value() const { return value_; }
  // NOLINTNEXTLINE(modernize-use-nullptr): clang-tidy 14 takes the comparison with 0 for a pointer
  friend constexpr auto operator<=>(const Named&, const Named&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Named& n) { return out << n.value_; }

 private:
  T value_{};
};

}  // namespace bramble

template <typename Tag, typename T>
struct std::hash<bramble::Named<Tag, T>> {
  std::size_t operator()(const bramble::Named<Tag, T>& n) const {
    return std::hash<T>{}(n.value());
  }
};
