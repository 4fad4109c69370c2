#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "tests/coordinator/api/raw_client.h"

namespace bramble::coordinator {
namespace {

constexpr int kPatienceMs = 10'000;

std::string LowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

}  // namespace

RawClient::RawClient(const std::string& address, int receive_buffer) {
  const std::size_t colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(colon + 1))));
  inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
  socket_ = socket(AF_INET, SOCK_STREAM, 0);
  if (receive_buffer > 0) {
    setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  }
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) Close();
}

RawClient::~RawClient() { Close(); }

void RawClient::Close() {
  if (socket_ >= 0) close(socket_);
  socket_ = -1;
}

void RawClient::Reset() {
  const linger now{1, 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  Close();
}

void RawClient::EndSending() { shutdown(socket_, SHUT_WR); }

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{socket_, POLLOUT, 0};
    if (poll(&ready, 1, kPatienceMs) <= 0) return false;
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool RawClient::Fill() {
  pollfd ready{socket_, POLLIN, 0};
  if (socket_ < 0 || poll(&ready, 1, kPatienceMs) <= 0) return false;
  std::array<char, 65536> bytes{};
  const ssize_t count = recv(socket_, bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  input_.append(bytes.data(), static_cast<std::size_t>(count));
  return true;
}

std::string RawClient::ReadToEnd() {
  while (Fill()) {
  }
  return std::exchange(input_, {});
}

std::string RawClient::ReadUntil(std::string_view text) {
  while (input_.find(text) == std::string::npos && Fill()) {
  }
  return std::exchange(input_, {});
}

RawReply RawClient::ReadReply(bool no_body) {
  RawReply reply;
  while (input_.find("\r\n\r\n") == std::string::npos) {
    if (!Fill()) return reply;
  }
  const std::size_t head_end = input_.find("\r\n\r\n");
  const std::string head = input_.substr(0, head_end);
  input_.erase(0, head_end + 4);
  reply.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n"); at != std::string::npos;) {
    const std::size_t next = head.find("\r\n", at + 2);
    const std::string line = head.substr(at + 2, next == std::string::npos ? next : next - at - 2);
    const std::size_t colon = line.find(": ");
    reply.headers[LowerCase(line.substr(0, colon))] = line.substr(colon + 2);
    at = next;
  }
  if (no_body || reply.status == 204 || reply.status == 100) {
    reply.complete = true;
  } else if (reply.headers.count("content-length") != 0) {
    const auto length = static_cast<std::size_t>(std::stoull(reply.headers["content-length"]));
    while (input_.size() < length && Fill()) {
    }
    reply.complete = input_.size() >= length;
    reply.body = input_.substr(0, length);
    input_.erase(0, length);
  } else if (reply.headers["transfer-encoding"] == "chunked") {
    for (;;) {
      while (input_.find("\r\n") == std::string::npos) {
        if (!Fill()) return reply;
      }
      const std::size_t line = input_.find("\r\n");
      const std::size_t size = std::stoul(input_.substr(0, line), nullptr, 16);
      while (input_.size() < line + size + 4) {
        if (!Fill()) return reply;
      }
      reply.body += input_.substr(line + 2, size);
      input_.erase(0, line + size + 4);
      if (size == 0) break;
    }
    reply.complete = true;
  } else {
    reply.body = ReadToEnd();
    reply.complete = true;
  }
  return reply;
}

}  // namespace bramble::coordinator
