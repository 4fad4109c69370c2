#pragma once

#include "model/codec.h"
#include "model/families/compile.h"
#include "model/files/model_files.h"
#include "model/model.h"

namespace bramble::model {

// What the files alone say: container, family, name, sizes.
ModelFacts FileFacts(const files::ModelFiles& files);

// Adds what compiling has found out, and what the codec says.
void AddProgramFacts(const families::Compiled& compiled, ModelFacts* facts);
void AddCodecFacts(const Codec& codec, ModelFacts* facts);

}  // namespace bramble::model
