#pragma once

#include <map>
#include <string>
#include <string_view>

namespace bramble::coordinator {

// One reply, as read from the wire.
struct RawReply {
  int status = 0;                              // 0: the connection ended, or nothing came in time
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;                            // without chunk framing
  bool complete = false;
};

// A TCP client that sends exactly the bytes it is told to. Every wait ends after ten seconds.
class RawClient {
 public:
  // `address`: HOST:PORT, numeric. `receive_buffer`: of the socket, 0 for the system's own.
  explicit RawClient(const std::string& address, int receive_buffer = 0);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return socket_ >= 0; }
  // False if the other side stopped taking bytes.
  bool Send(std::string_view bytes);
  void EndSending();  // half a close
  void Close();
  void Reset();  // RST instead of FIN
  // `no_body`: of a HEAD request.
  RawReply ReadReply(bool no_body = false);
  // What comes until the other side closes.
  std::string ReadToEnd();
  // What comes until `text` is in it (or the end).
  std::string ReadUntil(std::string_view text);

 private:
  bool Fill();

  int socket_ = -1;
  std::string input_;
};

}  // namespace bramble::coordinator
