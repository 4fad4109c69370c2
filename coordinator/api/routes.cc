#include "coordinator/api/routes.h"

#include <array>

#include "coordinator/page/page.h"

namespace bramble::coordinator {
namespace {

constexpr std::array kRoutes = {
    Route{"POST", "/v1/chat/completions", false, ServeChat},
    Route{"POST", "/v1/completions", false, ServeCompletions},
    Route{"POST", "/v1/embeddings", false, ServeEmbeddings},
    Route{"GET", "/v1/models", false, ServeModels},
    Route{"GET", "/v1/models/{id}", false, ServeModel},
    Route{"POST", "/tokenize", false, ServeTokenize},
    Route{"POST", "/detokenize", false, ServeDetokenize},
    Route{"GET", "/", true, ServePage},
    Route{"GET", "/page.css", true, ServeStyle},
    Route{"GET", "/page.js", true, ServeScript},
    Route{"GET", "/health", true, ServeHealth},
    Route{"GET", "/v1/health", true, ServeHealth},
    Route{"GET", "/metrics", true, ServeMetrics},
    Route{"GET", "/version", false, ServeVersion},
    Route{"GET", "/bramble/v1/cluster", false, ServeCluster},
    Route{"GET", "/bramble/v1/sd", false, ServeTargets},
};

constexpr std::string_view kTail = "{id}";

// The part that stands for {id}; the whole path must match otherwise.
std::optional<std::string_view> MatchPath(std::string_view pattern, std::string_view path) {
  if (pattern.size() < kTail.size() || pattern.substr(pattern.size() - kTail.size()) != kTail) {
    return pattern == path ? std::optional(std::string_view()) : std::nullopt;
  }
  const std::string_view front = pattern.substr(0, pattern.size() - kTail.size());
  if (path.size() <= front.size() || path.substr(0, front.size()) != front) return std::nullopt;
  return path.substr(front.size());
}

}  // namespace

std::span<const Route> Routes() { return kRoutes; }

Match FindRoute(std::string_view method, std::string_view path) {
  Match match;
  for (const Route& route : kRoutes) {
    const auto tail = MatchPath(route.path, path);
    if (!tail) continue;
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += route.method;
    const bool reads = std::string_view(route.method) == "GET";
    if (reads) match.allow += ", HEAD";
    if (method != route.method && !(reads && method == "HEAD")) continue;
    // After routing: an encoded slash is part of a name.
    const auto decoded = PercentDecode(*tail);
    if (!decoded) {
      match.bad_encoding = true;
      return match;
    }
    match.route = &route;
    match.tail = *decoded;
    return match;
  }
  if (!match.allow.empty()) match.allow += ", OPTIONS";
  return match;
}

}  // namespace bramble::coordinator
