#pragma once

#include "model/families/builder.h"
#include "model/files/model_files.h"

namespace bramble::model::families {

// How the rows of a text become one vector.
struct Pooling {
  enum class Kind : std::uint8_t { kMean, kMax, kFirst, kLast };
  Kind kind = Kind::kMean;
  bool normalized = true;
};

// What a sentence-transformers folder says in modules.json and 1_Pooling/config.json; without them
// the mean, normalized. Unimplemented, with the file and the key, for ways that are not run.
Result<Pooling> ReadPooling(const files::ModelFiles& files);

// The vector of each sequence: x is [tokens, width].
Value AddPooling(ProgramBuilder* builder, const Pooling& pooling, Value x);

}  // namespace bramble::model::families
