#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bramble/v1/program.pb.h"
#include "kernels/encodings/encoding.h"

namespace bramble::program {

// The row of the table of encodings, or nullptr if this version cannot decode it.
const kernels::EncodingInfo* FindEncoding(v1::Encoding encoding);

// Bytes of the whole weight as encoded: what `sha256` is of. Requires a weight that CheckProgram
// let pass.
std::uint64_t WeightBytes(const v1::Weight& weight);

// Bytes of one row (the last dimension). The same requirement.
std::uint64_t WeightRowBytes(const v1::Weight& weight);

// Product of all dimensions but the last. The same requirement.
std::uint64_t WeightRows(const v1::Weight& weight);

// "[49152, 576]".
std::string ShapeText(const v1::Weight& weight);

// A name for a message: control bytes escaped, cut after 64 bytes; if it is empty, `kind` and the
// index ("block 3").
std::string Printable(std::string_view name, std::string_view kind, std::size_t index);

}  // namespace bramble::program
