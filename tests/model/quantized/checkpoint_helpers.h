#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"
#include "model/quantized/matrix.h"

namespace bramble::model::quantized {

using Random = std::mt19937;

// The tensors of a module "m", and a description.
class Checkpoint {
 public:
  // `type`: as safetensors spells it.
  void Add(std::string_view suffix, std::string_view type, std::vector<std::uint64_t> shape,
           std::string bytes);
  template <typename T>
  void Add(std::string_view suffix, std::string_view type, std::vector<std::uint64_t> shape,
           const std::vector<T>& values) {
    Add(suffix, type, std::move(shape),
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)));
  }
  void Say(std::string_view key, std::string_view value);
  void Say(std::string_view key, std::int64_t value);

  // Changes a tensor that is there.
  void Drop(std::string_view suffix);
  void Reshape(std::string_view suffix, std::vector<std::uint64_t> shape);
  std::string& Bytes(std::string_view suffix);

  // Finds the module's layout and opens it.
  Result<std::unique_ptr<Matrix>> Open();

 private:
  struct Entry {
    std::string suffix;
    std::string_view type;
    std::vector<std::uint64_t> shape;
    std::string bytes;
  };
  Entry& Find(std::string_view suffix);

  std::deque<Entry> entries_;
  files::Metadata metadata_;
  std::deque<files::TensorIndex> indices_;  // what opened matrices point into
};

// Values of `bits` bits as a stream in 32-bit words, lowest bits first.
std::vector<std::uint32_t> Stream(std::span<const std::uint32_t> values, std::uint32_t bits);

// All values of a matrix, [outputs, inputs] with the inputs in their true order, as the kernels
// decode them.
std::vector<float> ValuesOf(const Matrix& matrix);

std::vector<std::uint32_t> RandomWholes(Random* random, std::size_t count, std::uint32_t below);
// Numbers that a half holds exactly, and their halves.
std::vector<float> RandomScales(Random* random, std::size_t count);
std::vector<std::uint16_t> Halves(const std::vector<float>& values);

}  // namespace bramble::model::quantized
