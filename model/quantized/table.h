#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/status.h"
#include "model/files/metadata.h"
#include "model/files/tensor_index.h"
#include "model/quantized/matrix.h"
#include "model/quantized/module.h"

namespace bramble::model::quantized {

// A layout in which checkpoints keep quantized matrices. A new one is a row in table.cc.
struct Layout {
  const char* name;  // for people
  bool (*has)(const Module& module);
  Result<std::unique_ptr<Matrix>> (*open)(const Module& module);
};

std::span<const Layout> Layouts();

// The layout of a module's tensors; nullptr: none of these, so it is a plain tensor, or missing.
const Layout* FindLayout(const Module& module);

// The values of config.json's quant_method whose checkpoints have these layouts.
std::span<const std::string_view> Methods();

// What config.json says about quantization, for people: "gptq, 4 bits, groups of 128". Empty:
// nothing.
std::string Describe(const files::Metadata& metadata);

}  // namespace bramble::model::quantized
