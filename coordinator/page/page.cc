#include "coordinator/page/page.h"

#include <string_view>
#include <utility>

// kIndex, kStyle, kScript: made by CMake from the files beside this one.
#include "coordinator/page/files.inc"

namespace bramble::coordinator {
namespace {

// Nothing from elsewhere, no script within the page, in nobody's frame.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

void ServeFile(const Call& call, const char* type, std::string_view content) {
  HttpReply reply;
  reply.content_type = type;
  reply.body = content;
  reply.headers = {{"Content-Security-Policy", kPolicy},
                   {"X-Content-Type-Options", "nosniff"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cache-Control", "no-cache"}};
  call.exchange->Reply(std::move(reply));
}

}  // namespace

void ServePage(const Call& call) { ServeFile(call, "text/html; charset=utf-8", kIndex); }
void ServeStyle(const Call& call) { ServeFile(call, "text/css; charset=utf-8", kStyle); }
void ServeScript(const Call& call) { ServeFile(call, "text/javascript; charset=utf-8", kScript); }

}  // namespace bramble::coordinator
