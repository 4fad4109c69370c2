#include "model/quantized/table.h"

#include "model/files/quote.h"
#include "model/quantized/layouts.h"

namespace bramble::model::quantized {
namespace {

constexpr Layout kLayouts[] = {
    {"GPTQ or AWQ", HasGptq, OpenGptq},
    {"EXL2", HasExl2, OpenExl2},
    {"MLC", HasMlc, OpenMlc},
    {"compressed-tensors, packed", HasPacked, OpenPacked},
    {"bitsandbytes, 4 bits", HasFourBit, OpenFourBit},
    {"bytes with scales", HasBytes, OpenBytes},
};

// https://github.com/huggingface/transformers/blob/main/src/transformers/utils/quantization_config.py
constexpr std::string_view kMethods[] = {"gptq",         "awq", "exl2", "compressed-tensors",
                                         "bitsandbytes", "fp8"};

constexpr std::size_t kShownName = 40;

}  // namespace

std::span<const Layout> Layouts() { return kLayouts; }

std::span<const std::string_view> Methods() { return kMethods; }

const Layout* FindLayout(const Module& module) {
  for (const Layout& layout : kLayouts) {
    if (layout.has(module)) return &layout;
  }
  return nullptr;
}

std::string Describe(const files::Metadata& metadata) {
  const auto find = [&](const std::string& key) {
    return files::FindValue(metadata, "quantization_config." + key);
  };
  const files::MetaValue* method = find("quant_method");
  const auto name = method == nullptr ? std::nullopt : method->Text();
  if (!name) return "";
  std::string text = files::Escape(*name, kShownName);
  for (const char* key : {"bnb_4bit_quant_type", "format", "fmt"}) {
    const files::MetaValue* value = find(key);
    const auto what = value == nullptr ? std::nullopt : value->Text();
    if (what) text += ", " + files::Escape(*what, kShownName);
  }
  if (const auto* bits = find("bits")) text += ", " + bits->ToText() + " bits";
  const auto* group = find("group_size");
  const auto size = group == nullptr ? std::nullopt : group->Whole();
  if (size) text += *size > 0 ? ", groups of " + std::to_string(*size) : ", one group";
  const auto* order = find("desc_act");
  if (order != nullptr && order->Flag().value_or(false)) text += ", act order";
  return text;
}

}  // namespace bramble::model::quantized
