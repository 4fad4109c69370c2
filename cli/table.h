#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bramble::cli {

// A table for people: upper-case headings, left-aligned columns, two spaces between them. Thread
// safety of a value.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  // Requires as many cells as there are headings.
  void AddRow(std::vector<std::string> cells);
  // Lines that end in a newline.
  std::string Text() const;

 private:
  std::vector<std::vector<std::string>> rows_;  // the first one holds the headings
};

// 98362432 -> "93.8 MiB".
std::string HumanBytes(std::uint64_t bytes);

// 0.00213 -> "2.13 ms".
std::string HumanSeconds(double seconds);

// `value` with `digits` after the point.
std::string Fixed(double value, int digits);

}  // namespace bramble::cli
