#pragma once

#include <memory>

#include "common/mutex.h"
#include "coordinator/state/database.h"
#include "coordinator/state/store.h"

// What the files of Store share. Not for others.
namespace bramble::coordinator {

struct Store::Database {
  explicit Database(std::unique_ptr<Connection> opened) : connection(std::move(opened)) {}

  Mutex mu;
  const std::unique_ptr<Connection> connection PT_GUARDED_BY(mu);
};

// Microseconds since 1970, as the database keeps times.
inline std::int64_t ToMicros(Time time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
}
inline Time FromMicros(std::int64_t micros) {
  return Time(std::chrono::duration_cast<Time::duration>(std::chrono::microseconds(micros)));
}

}  // namespace bramble::coordinator
