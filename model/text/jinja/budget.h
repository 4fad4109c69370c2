#pragma once

#include <cstddef>
#include <cstdint>

namespace bramble::model::text::jinja {

// What is left of a rendering's means. One rendering, one thread.
class Budget {
 public:
  Budget(std::uint64_t steps, std::size_t value_bytes) : steps_(steps), value_bytes_(value_bytes) {}

  // False, from then on, when more is asked for than is left.
  bool Step(std::uint64_t count = 1) { return Take(steps_, count); }
  // Pays for memory, and for the time to fill it.
  bool Bytes(std::size_t count) { return Take(value_bytes_, count) && Step(count / 256); }

  bool exhausted() const { return exhausted_; }

 private:
  template <typename T>
  bool Take(T& left, T count) {
    if (exhausted_ || count > left) {
      exhausted_ = true;
      return false;
    }
    left -= count;
    return true;
  }

  std::uint64_t steps_;
  std::size_t value_bytes_;
  bool exhausted_ = false;
};

}  // namespace bramble::model::text::jinja
