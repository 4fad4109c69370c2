#pragma once

#include <string>
#include <string_view>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::files {

// Whether a folder holds a checkpoint of LitGPT: lit_model.pth.
bool IsLitGptFolder(const std::string& folder);

// Opens one (https://github.com/Lightning-AI/litgpt): lit_model.pth beside model_config.yaml or, of
// its first generation, lit_config.json. The description's keys are LitGPT's own, with 'model_type'
// "litgpt". ModelFiles.path is the folder.
Result<ModelFiles> OpenLitGptFolder(const std::string& folder);

// The top level of a YAML file of plain values, as LitGPT writes its settings: "key: value" lines.
// What is indented, and lists, are passed over. InvalidArgument: a line that is none of these, or a
// key twice.
Result<Metadata> ReadFlatYaml(std::string_view text);

}  // namespace bramble::model::files
