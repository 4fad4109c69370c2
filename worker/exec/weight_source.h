#pragma once

#include <cstddef>
#include <span>

#include "bramble/v1/program.pb.h"
#include "common/status.h"

namespace bramble::worker {

// Where an executor gets the encoded bytes of weights that do not travel inside the program. Used
// by one thread, only while an executor is created.
class WeightSource {
 public:
  virtual ~WeightSource() = default;

  // All bytes of the weight, valid until Done(weight); other threads read them meanwhile. Whoever
  // implements it has compared them with weight.sha256(). NotFound if it does not have them.
  virtual Result<std::span<const std::byte>> Bytes(const v1::Weight& weight) = 0;

  // The weight has been copied: its pages may go.
  virtual void Done(const v1::Weight& weight) { static_cast<void>(weight); }
};

}  // namespace bramble::worker
