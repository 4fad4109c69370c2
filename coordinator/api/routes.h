#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "coordinator/api/endpoints.h"

namespace bramble::coordinator {

// One row of the API.
struct Route {
  const char* method;  // GET serves HEAD too
  const char* path;    // ends in "/{id}": the rest of the path, slashes too
  bool open;           // needs no key
  void (*serve)(const Call& call);
};

std::span<const Route> Routes();

// Where a request goes.
struct Match {
  const Route* route = nullptr;  // null: see `allow`
  std::string tail;              // of {id}, percent-decoded
  std::string allow;             // the methods of a path that is known; empty: no such path
  bool bad_encoding = false;     // a % without two hexadecimal digits
};

Match FindRoute(std::string_view method, std::string_view path);

}  // namespace bramble::coordinator
