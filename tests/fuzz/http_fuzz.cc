// Bytes from the network as requests, and bodies as JSON: whatever they are, there is a request or
// a reason, in bounded memory; and the cut of the bytes does not matter.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/check.h"
#include "coordinator/api/json_body.h"
#include "coordinator/api/request_reader.h"

namespace {

using bramble::coordinator::HttpRequest;
using bramble::coordinator::RequestReader;

constexpr RequestReader::Limits kLimits{4096, std::size_t{1} << 16};

// The requests of `bytes`, offered in steps of `step`; the status of a refusal is the last one's
// body.
std::vector<HttpRequest> ReadAll(std::string_view bytes, std::size_t step) {
  RequestReader reader(kLimits);
  std::vector<HttpRequest> requests;
  std::string input;
  while (!bytes.empty() && reader.state() != RequestReader::State::kFailed) {
    input += bytes.substr(0, step);
    bytes.remove_prefix(std::min(step, bytes.size()));
    for (;;) {
      const auto before = reader.state();
      const std::size_t taken = reader.Feed(input);
      CHECK(taken <= input.size());
      input.erase(0, taken);
      if (reader.state() == RequestReader::State::kDone) {
        requests.push_back(reader.Take());
        CHECK(requests.back().body.size() <= kLimits.body_bytes);
      } else if (reader.state() == RequestReader::State::kFailed) {
        CHECK(reader.refusal().status >= 400 && !reader.refusal().message.empty());
        break;
      } else if (taken == 0 && reader.state() == before) {
        break;
      }
    }
  }
  return requests;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = ReadAll(bytes, size + 1);
  if (size < 2000) {
    const auto single = ReadAll(bytes, 1);
    CHECK(single.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      CHECK(single[i].method == whole[i].method && single[i].target == whole[i].target);
      CHECK(single[i].body == whole[i].body);
    }
  }
  for (const HttpRequest& request : whole) {
    (void)bramble::coordinator::PercentDecode(request.path());
    bramble::coordinator::Json body;
    (void)bramble::coordinator::ParseBody(request.body, body);
  }
  bramble::coordinator::Json body;
  if (!bramble::coordinator::ParseBody(bytes, body)) CHECK(body.is_object());
  return 0;
}
