#include "tests/coordinator/plan/plan_helpers.h"

namespace bramble::coordinator {

ModelSummary TiedModel(std::uint32_t layers, std::uint64_t layer_mib, std::uint64_t embedding_mib,
                       std::uint64_t cache_bytes_a_page) {
  ModelSummary model;
  model.name = "tied";
  model.context_length = 1024;
  BlockSummary embed;
  embed.name = "embed";
  embed.weights = {{"table", embedding_mib * kMiB}};
  embed.read_bytes = {{v1::ENCODING_Q8_0, 1024}};
  embed.output_bytes_a_row = 4096;
  model.blocks.push_back(embed);
  for (std::uint32_t i = 0; i < layers; ++i) {
    BlockSummary layer;
    layer.name = "layer." + std::to_string(i);
    layer.weights = {{layer.name, layer_mib * kMiB}};
    layer.read_bytes = {{v1::ENCODING_Q4_1, layer_mib * kMiB}};
    layer.operations_a_row = 2.0 * static_cast<double>(layer_mib * kMiB);
    layer.cache_bytes_a_page = cache_bytes_a_page;
    layer.output_bytes_a_row = 4096;
    model.blocks.push_back(layer);
  }
  BlockSummary head;
  head.name = "head";
  head.weights = {{"table", embedding_mib * kMiB}};
  head.read_bytes = {{v1::ENCODING_Q8_0, embedding_mib * kMiB}};
  model.blocks.push_back(head);
  return model;
}

Device Worker(const std::string& node_id, std::uint64_t memory_mib, double mib_per_second) {
  Device device;
  device.node_id = node_id;
  device.memory_limit_bytes = memory_mib * kMiB;
  device.read_bytes_per_second = mib_per_second * static_cast<double>(kMiB);
  for (const v1::Encoding encoding : {v1::ENCODING_Q4_1, v1::ENCODING_Q8_0}) {
    device.speeds[encoding] = {device.read_bytes_per_second, 100 * device.read_bytes_per_second};
  }
  device.hop_seconds = 0.0002;
  return device;
}

std::string Shape(const Plan& plan) {
  std::string shape;
  for (const PlannedStage& stage : plan.stages) {
    if (!shape.empty()) shape += ' ';
    shape += stage.node_id + ":" + std::to_string(stage.first_block) + "-" +
             std::to_string(stage.first_block + stage.block_count - 1);
  }
  return shape;
}

}  // namespace bramble::coordinator
