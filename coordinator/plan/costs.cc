#include "coordinator/plan/costs.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "common/check.h"

namespace bramble::coordinator {
namespace {

// A worker that has measured nothing is taken for a slow board: it still gets work, and its
// measured step times soon say more.
constexpr double kUnknownBytesPerSecond = 1e9;

double BytesPerSecond(const Device& device, v1::Encoding encoding) {
  const auto speed = device.speeds.find(encoding);
  if (speed != device.speeds.end() && speed->second.decode_bytes_per_second > 0) {
    return speed->second.decode_bytes_per_second;
  }
  return device.read_bytes_per_second > 0 ? device.read_bytes_per_second : kUnknownBytesPerSecond;
}

double PrefillOperations(const Device& device, v1::Encoding encoding) {
  const auto speed = device.speeds.find(encoding);
  return speed == device.speeds.end() ? 0 : speed->second.prefill_operations_per_second;
}

}  // namespace

Costs::Costs(const PlanRequest& request)
    : blocks_(request.model.blocks.size()), fixed_bytes_(request.limits.fixed_bytes) {
  CHECK(blocks_ > 0 && !request.devices.empty());
  SumWeights(request.model.blocks);
  page_bytes_.assign(1, 0);
  for (const BlockSummary& block : request.model.blocks) {
    page_bytes_.push_back(page_bytes_.back() + block.cache_bytes_a_page);
    output_seconds_.push_back(static_cast<double>(block.output_bytes_a_row) /
                              request.limits.link_bytes_per_second);
  }
  output_seconds_.back() = 0;  // only ids go back to the coordinator
  for (const Device& device : request.devices) {
    limits_.push_back(device.memory_limit_bytes);
    hop_seconds_.push_back(device.hop_seconds);
  }
  SumTimes(request);
}

void Costs::SumWeights(const std::vector<BlockSummary>& blocks) {
  weight_bytes_.assign(blocks_ * (blocks_ + 1), 0);
  buffer_bytes_.assign(blocks_ * (blocks_ + 1), 0);
  std::unordered_map<std::string_view, std::uint64_t> held;
  for (std::size_t first = 0; first < blocks_; ++first) {
    held.clear();
    std::uint64_t bytes = 0;
    std::uint64_t buffer = 0;
    for (std::size_t last = first; last < blocks_; ++last) {
      for (const WeightSummary& weight : blocks[last].weights) {
        // A table is a little larger where it is also a matrix: the larger form serves both.
        std::uint64_t& most = held[weight.content];
        bytes += std::max(most, weight.bytes) - most;
        most = std::max(most, weight.bytes);
      }
      buffer = std::max(buffer, blocks[last].buffer_bytes);
      weight_bytes_[RangeIndex(first, last + 1)] = bytes;
      buffer_bytes_[RangeIndex(first, last + 1)] = buffer;
    }
  }
}

void Costs::SumTimes(const PlanRequest& request) {
  for (const Device& device : request.devices) {
    std::vector<double> row(1, 0);
    std::vector<double> prefill(1, 0);
    for (const BlockSummary& block : request.model.blocks) {
      double read = 0;
      for (const auto& [encoding, bytes] : block.read_bytes) read += static_cast<double>(bytes);
      double row_seconds = 0;
      double prefill_seconds = 0;
      for (const auto& [encoding, bytes] : block.read_bytes) {
        row_seconds += static_cast<double>(bytes) / BytesPerSecond(device, encoding);
        // Operations go with the bytes of their weights.
        const double operations = block.operations_a_row * static_cast<double>(bytes) / read;
        const double speed = PrefillOperations(device, encoding);
        if (speed > 0 && bytes > 0) prefill_seconds += operations / speed;
      }
      row.push_back(row.back() + row_seconds);
      prefill.push_back(prefill.back() + prefill_seconds);
    }
    row_.push_back(std::move(row));
    prefill_.push_back(std::move(prefill));
  }
}

std::uint64_t Costs::WeightBytes(std::size_t first, std::size_t end) const {
  return weight_bytes_[RangeIndex(first, end)];
}

std::uint64_t Costs::PageBytes(std::size_t first, std::size_t end) const {
  return page_bytes_[end] - page_bytes_[first];
}

std::uint64_t Costs::BufferBytes(std::size_t first, std::size_t end) const {
  return buffer_bytes_[RangeIndex(first, end)];
}

std::uint64_t Costs::Needed(std::size_t first, std::size_t end, std::uint64_t pages) const {
  return fixed_bytes_ + WeightBytes(first, end) + BufferBytes(first, end) +
         PageBytes(first, end) * pages;
}

double Costs::RowSeconds(std::size_t device, std::size_t first, std::size_t end) const {
  return row_[device][end] - row_[device][first];
}

double Costs::HopSeconds(std::size_t device, std::size_t end) const {
  return hop_seconds_[device] + output_seconds_[end - 1];
}

double Costs::PrefillSeconds(std::size_t device, std::size_t first, std::size_t end) const {
  return prefill_[device][end] - prefill_[device][first];
}

}  // namespace bramble::coordinator
