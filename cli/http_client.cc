#include "cli/http_client.h"

#include <curl/curl.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "common/sha256.h"

namespace bramble::cli {
namespace {

namespace fs = std::filesystem;

constexpr long kConnectSeconds = 10;
constexpr long kStalledSeconds = 60;  // a download with no byte for so long has failed

struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;
using HeaderList = std::unique_ptr<curl_slist, CurlDeleter>;

void AddHeader(HeaderList& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list.get(), header.c_str());
  CHECK(longer != nullptr);
  list.release();  // NOLINT(bugprone-unused-return-value): `longer` owns it now
  list.reset(longer);
}

// What a transfer's callback needs; curl hands it back as a pointer.
struct Receiver {
  CURL* curl = nullptr;
  std::string* body = nullptr;
  const std::function<bool(std::string_view)>* on_data =
      nullptr;  // null: everything goes to the body
};

std::size_t Receive(char* data, std::size_t size, std::size_t count, void* user) {
  auto* receiver = static_cast<Receiver*>(user);
  const std::string_view bytes(data, size * count);
  long status = 0;
  curl_easy_getinfo(receiver->curl, CURLINFO_RESPONSE_CODE, &status);
  if (receiver->on_data == nullptr || status != 200) {
    receiver->body->append(bytes);
    return bytes.size();
  }
  return (*receiver->on_data)(bytes) ? bytes.size() : 0;
}

Result<HttpReply> Transfer(const HttpServerAddress& address, const std::string& path,
                           const std::string* json,
                           const std::function<bool(std::string_view)>* on_data) {
  const Curl curl(curl_easy_init());
  CHECK(curl != nullptr);
  const std::string url = address.url + path;
  HttpReply reply;
  Receiver receiver{curl.get(), &reply.body, on_data};
  HeaderList headers;
  if (!address.api_key.empty()) AddHeader(headers, "Authorization: Bearer " + address.api_key);
  if (json != nullptr) {
    AddHeader(headers, "Content-Type: application/json");
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, json->data());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(json->size()));
  }
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, Receive);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &receiver);
  if (!address.ca_file.empty())
    curl_easy_setopt(curl.get(), CURLOPT_CAINFO, address.ca_file.c_str());

  const CURLcode code = curl_easy_perform(curl.get());
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &reply.status);
  const bool stopped_by_us = code == CURLE_WRITE_ERROR && on_data != nullptr;
  if (code != CURLE_OK && !stopped_by_us) {
    return Unavailable("no answer from ", url, ": ", curl_easy_strerror(code),
                       " (is a coordinator running there? 'bramble serve MODEL' starts one)");
  }
  return reply;
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct DownloadState {
  std::FILE* file = nullptr;
  CURL* curl = nullptr;
  std::uint64_t offset = 0;  // bytes that an earlier try left
  bool rejected = false;     // the server ignored the offset
  const std::function<void(std::uint64_t, std::uint64_t)>* progress = nullptr;
};

std::size_t ReceiveToFile(char* data, std::size_t size, std::size_t count, void* user) {
  auto* state = static_cast<DownloadState*>(user);
  long status = 0;
  curl_easy_getinfo(state->curl, CURLINFO_RESPONSE_CODE, &status);
  if (status >= 400) return size * count;  // an error page is no part of the file
  if (state->offset > 0 && status != 206) {
    state->rejected = true;
    return 0;
  }
  return std::fwrite(data, 1, size * count, state->file);
}

int ReportProgress(void* user, curl_off_t total, curl_off_t now, curl_off_t /*upload_total*/,
                   curl_off_t /*uploaded*/) {
  const auto* state = static_cast<DownloadState*>(user);
  const auto done = static_cast<std::uint64_t>(now) + state->offset;
  if (*state->progress)
    (*state->progress)(done, total > 0 ? static_cast<std::uint64_t>(total) + state->offset : 0);
  return 0;
}

Result<std::string> HashFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  Sha256Stream hash;
  std::vector<char> buffer(std::size_t{1} << 20);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
         file.gcount() > 0) {
    hash.Add(std::string_view(buffer.data(), static_cast<std::size_t>(file.gcount())));
  }
  if (!file.eof()) return Invalid("cannot read ", path);
  return Hex(hash.Finish());
}

// One try. Sets `state.rejected` where the server can't continue a partial file.
Status FetchOnce(const Download& download, const std::string& part, DownloadState& state) {
  const std::unique_ptr<std::FILE, FileCloser> file(
      std::fopen(part.c_str(), state.offset > 0 ? "ab" : "wb"));
  if (file == nullptr) return Invalid("cannot write ", part);
  const Curl curl(curl_easy_init());
  CHECK(curl != nullptr);
  state.file = file.get();
  state.curl = curl.get();
  HeaderList headers;
  if (!download.bearer_token.empty())
    AddHeader(headers, "Authorization: Bearer " + download.bearer_token);
  curl_easy_setopt(curl.get(), CURLOPT_URL, download.url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_LOW_SPEED_TIME, kStalledSeconds);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(state.offset));
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, ReceiveToFile);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &state);
  curl_easy_setopt(curl.get(), CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFOFUNCTION, ReportProgress);
  curl_easy_setopt(curl.get(), CURLOPT_XFERINFODATA, &state);
  const CURLcode code = curl_easy_perform(curl.get());
  if (state.rejected) return Failed("the server cannot continue a partial download");
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  const bool already_whole = status == 416 && state.offset > 0;  // nothing lies beyond what we have
  if (status >= 400 && !already_whole) {
    return NotFound(download.url, " answered with HTTP status ", status);
  }
  if (code != CURLE_OK && !already_whole) {
    return Unavailable("download of ", download.url, " stopped: ", curl_easy_strerror(code),
                       "; the same command goes on where it ended");
  }
  return {};
}

}  // namespace

HttpClient::HttpClient(HttpServerAddress address) : address_(std::move(address)) {
  while (address_.url.ends_with('/')) address_.url.pop_back();
}

Result<HttpReply> HttpClient::Get(const std::string& path) const {
  return Transfer(address_, path, nullptr, nullptr);
}

Result<HttpReply> HttpClient::Post(const std::string& path, const std::string& json) const {
  return Transfer(address_, path, &json, nullptr);
}

Result<HttpReply> HttpClient::PostStreaming(
    const std::string& path, const std::string& json,
    const std::function<bool(std::string_view)>& on_data) const {
  return Transfer(address_, path, &json, &on_data);
}

Status Fetch(const Download& download,
             const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  std::error_code error;
  if (fs::exists(download.path, error)) return {};
  const std::string part = download.path + ".part";
  DownloadState state;
  state.progress = &progress;
  state.offset = fs::exists(part, error) ? fs::file_size(part, error) : 0;
  Status status = FetchOnce(download, part, state);
  if (state.rejected) {
    state.rejected = false;
    state.offset = 0;
    status = FetchOnce(download, part, state);
  }
  RETURN_IF_ERROR(status);
  const std::uint64_t size = fs::file_size(part, error);
  if (download.bytes != 0 && size != download.bytes) {
    fs::remove(part, error);
    return DataLoss(download.url, ": got ", size, " bytes, expected ", download.bytes);
  }
  if (!download.sha256.empty()) {
    ASSIGN_OR_RETURN(const std::string sum, HashFile(part));
    if (sum != download.sha256) {
      fs::remove(part, error);
      return DataLoss(download.url, ": the SHA-256 is ", sum, ", expected ", download.sha256,
                      "; the file was removed, try again");
    }
  }
  fs::rename(part, download.path, error);
  if (error) return Invalid("cannot rename ", part, " to ", download.path, ": ", error.message());
  return {};
}

}  // namespace bramble::cli
