#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "common/status.h"

namespace grpc {
class Channel;
class ChannelCredentials;
class ServerBuilder;
}  // namespace grpc

namespace bramble {

// The largest message of a call that carries no weights, activations or logits.
inline constexpr std::size_t kSmallMessage = std::size_t{64} << 10;

struct ChannelOptions {
  // The node id that the peer must prove.
  std::string expected_node;
  // Longer messages end the call with ResourceExhausted.
  std::size_t max_receive_bytes = kSmallMessage;
};

// A channel with a connection of its own, so that bulk data never delays another channel's
// heartbeats. A peer that is gone or frozen is noticed within about three seconds, even with no
// call open; no call is ever retried behind our back: a step that runs twice would be wrong.
// Connects at the first call. `address` is host:port.
std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    const ChannelOptions& options);

// The same care for the other side of such channels.
void ConfigureServer(grpc::ServerBuilder& builder, std::size_t max_receive_bytes);

}  // namespace bramble
