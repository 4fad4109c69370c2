#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace bramble::model::text {

// Words and their ids, to find every word that a text begins with. Immutable after the last Add:
// then any thread.
class TokenTrie {
 public:
  // Requires a word that is not empty. A word given twice keeps the later id.
  void Add(std::string_view word, std::uint32_t id);
  bool empty() const { return nodes_.size() == 1; }

  // Calls found(id, bytes) for each word that `text` begins with, shortest first. The text is never
  // read further than the longest word could reach.
  template <typename Found>
  void ForEachPrefix(std::string_view text, Found found) const {
    if (text.empty() || !first_[static_cast<unsigned char>(text[0])]) return;
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto next = edges_.find(Edge(node, text[i]));
      if (next == edges_.end()) return;
      node = next->second;
      if (nodes_[node].has_value()) found(*nodes_[node], i + 1);
    }
  }

 private:
  static std::uint64_t Edge(std::uint32_t node, char byte) {
    return std::uint64_t{node} << 8U | static_cast<unsigned char>(byte);
  }

  std::vector<std::optional<std::uint32_t>> nodes_{
      std::nullopt};  // the id of the word that ends here
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::array<bool, 256> first_{};
};

}  // namespace bramble::model::text
