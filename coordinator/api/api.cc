#include "coordinator/api/api.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <ctime>
#include <utility>

#include "bramble/v1/program.pb.h"
#include "common/escape.h"
#include "common/log.h"
#include "common/sha256.h"
#include "coordinator/api/errors.h"
#include "coordinator/api/joined.h"
#include "coordinator/api/keys.h"
#include "coordinator/api/routes.h"
#include "model/model.h"
#include "model/text/chat_template.h"

namespace bramble::coordinator {
namespace {

ApiError Refusal(unsigned status, std::string message, std::string code = {}) {
  ApiError error;
  error.status = status;
  error.message = std::move(message);
  error.code = std::move(code);
  return error;
}

class Api final : public HttpHandler {
 public:
  Api(ApiOptions options, Keys keys) : options_(std::move(options)), keys_(std::move(keys)) {}

  std::optional<HttpReply> Refuse(const HttpRequest& head) override {
    const Match match = FindRoute(head.method, head.path());
    const bool open = (match.route != nullptr && match.route->open) || head.method == "OPTIONS";
    if (!open && !keys_.empty() && !keys_.Allow(head.Header("Authorization")))
      return RefuseKey(head);
    if (match.route != nullptr || head.method == "OPTIONS") return std::nullopt;
    const std::string path = Printable(head.path(), 100);
    if (match.bad_encoding)
      return ErrorReply(
          Refusal(400, "'" + path + "' has a % that is not followed by two hexadecimal digits"));
    if (match.allow.empty()) return ErrorReply(Refusal(404, "there is nothing at '" + path + "'"));
    ApiError error = Refusal(405, Joined("'", path, "' does not take ", Printable(head.method, 20),
                                         ", only ", match.allow));
    error.headers.push_back({"Allow", match.allow});
    return ErrorReply(error);
  }

  void Handle(HttpRequest request, std::shared_ptr<Exchange> exchange) override {
    const Match match = FindRoute(request.method, request.path());
    if (request.method == "OPTIONS") return AnswerOptions(match, request, *exchange);
    match.route->serve({options_, request, match.tail, std::move(exchange)});
  }

  HttpReply Error(unsigned status, std::string_view message) override {
    return ErrorReply(Refusal(status, std::string(message)));
  }

  void Answered(const HttpRequest& request, unsigned status, double seconds,
                bool client_left) override {
    const Match match = FindRoute(request.method, request.path());
    const std::string route = match.route != nullptr ? match.route->path : "";
    if (options_.observe) options_.observe(route, status, seconds);
    // Health checks and scrapes would drown the rest.
    const bool quiet = match.route != nullptr && match.route->open && status == 200;
    Log(quiet ? LogLevel::kDebug : LogLevel::kInfo, "request answered",
        {{"request_id", request.request_id},
         {"method", request.method},
         {"path", request.path()},
         {"status", status},
         {"seconds", seconds},
         {"client_left", client_left}});
  }

 private:
  static HttpReply RefuseKey(const HttpRequest& head) {
    const bool none = head.Header("Authorization").empty();
    ApiError error =
        Refusal(401,
                none ? "no API key was sent: it belongs into the header 'Authorization: Bearer KEY'"
                     : "the API key is not known here",
                "invalid_api_key");
    error.headers.push_back({"WWW-Authenticate", "Bearer"});
    return ErrorReply(error);
  }

  void AnswerOptions(const Match& match, const HttpRequest& request, Exchange& exchange) {
    // FindRoute names the methods of a path for a method that it does not have.
    if (match.allow.empty() && request.target != "*") {
      return exchange.Reply(
          Error(404, Joined("there is nothing at '", Printable(request.path(), 100), "'")));
    }
    HttpReply reply;
    reply.status = 204;
    reply.headers.push_back(
        {"Allow", match.allow.empty() ? "GET, HEAD, POST, OPTIONS" : match.allow});
    exchange.Reply(std::move(reply));
  }

  const ApiOptions options_;
  const Keys keys_;
};

// Hashes what computes the answer: the program (with the hashes of its weights in it) and the
// specification of its arithmetic. Not for comparison across versions of this program.
std::string Fingerprint(const v1::Program& program) {
  constexpr std::string_view kArithmetic = "arithmetic 1";
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    program.SerializeToCodedStream(&coded);
  }
  bytes += kArithmetic;
  return "fp_" + Hex(Sha256Of(bytes)).substr(0, 16);
}

}  // namespace

Result<std::unique_ptr<HttpHandler>> MakeApi(ApiOptions options) {
  ASSIGN_OR_RETURN(Keys keys, Keys::FromHashes(options.api_key_hashes));
  return std::unique_ptr<HttpHandler>(std::make_unique<Api>(std::move(options), std::move(keys)));
}

ServedModel DescribeModel(const model::Model& model, std::string name) {
  ServedModel served;
  served.name = std::move(name);
  served.created = std::time(nullptr);
  served.tokenizer = model.tokenizer();
  served.chat_template = model.chat_template();
  served.vocabulary_size = model.program().vocabulary_size();
  for (const v1::Stream& stream : model.program().streams()) {
    if (stream.result() == v1::RESULT_KIND_EMBEDDING) served.embedding_width = stream.width();
  }
  served.trained_context_length = model.facts().context_length;
  served.parameters = model.facts().parameters;
  served.file_bytes = model.facts().bytes;
  served.fingerprint = Fingerprint(model.program());
  return served;
}

}  // namespace bramble::coordinator
