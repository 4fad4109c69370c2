#include "model/weight_table.h"

#include <openssl/evp.h>

#include <array>
#include <atomic>
#include <thread>
#include <utility>

namespace bramble::model {
namespace {

constexpr std::size_t kHashBytes = 32;
constexpr int kThreads = 2;

bool Hash(std::span<const std::byte> bytes, std::string* hash) {
  std::array<unsigned char, kHashBytes> digest{};
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
    return false;
  hash->assign(digest.begin(), digest.end());
  return true;
}

struct Made {
  std::vector<std::byte> owned;
  std::span<const std::byte> bytes;
  std::string hash;  // empty: the hash function failed
};

}  // namespace

Result<WeightTable> WeightTable::Make(const std::vector<families::Weights::Recipe>& recipes,
                                      v1::Program* program) {
  std::vector<Made> made(recipes.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < recipes.size(); i = next++) {
      Made& weight = made[i];
      if (recipes[i].tensor == nullptr) {  // a constant: its bytes are in the program
        const std::string& data = std::as_const(*program).weights(static_cast<int>(i)).data();
        const auto bytes = std::as_bytes(std::span(data));
        weight.owned.assign(bytes.begin(), bytes.end());
        weight.bytes = weight.owned;
      } else {
        weight.bytes = families::MakeBytes(recipes[i], &weight.owned);
      }
      Hash(weight.bytes, &weight.hash);
    }
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 1; i < kThreads; ++i) threads.emplace_back(work);
    work();
  }
  WeightTable table;
  for (std::size_t i = 0; i < made.size(); ++i) {
    if (made[i].hash.empty()) return Internal("SHA-256 is not available in this OpenSSL");
    program->mutable_weights(static_cast<int>(i))->set_sha256(made[i].hash);
    if (!made[i].owned.empty()) table.owned_.push_back(std::move(made[i].owned));
    table.by_hash_.emplace(std::move(made[i].hash), made[i].bytes);
  }
  return table;
}

Result<std::span<const std::byte>> WeightTable::Find(std::string_view sha256) const {
  const auto found = by_hash_.find(sha256);
  if (found == by_hash_.end()) return NotFound("the model has no weight with this hash");
  return found->second;
}

}  // namespace bramble::model
