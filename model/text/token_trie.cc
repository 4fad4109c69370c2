#include "model/text/token_trie.h"

#include "common/check.h"

namespace bramble::model::text {

void TokenTrie::Add(std::string_view word, std::uint32_t id) {
  CHECK(!word.empty());
  first_[static_cast<unsigned char>(word[0])] = true;
  std::uint32_t node = 0;
  for (const char byte : word) {
    const auto next = static_cast<std::uint32_t>(nodes_.size());
    const auto [edge, is_new] = edges_.try_emplace(Edge(node, byte), next);
    if (is_new) nodes_.emplace_back();
    node = edge->second;
  }
  nodes_[node] = id;
}

}  // namespace bramble::model::text
