#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/status.h"

// Zip archives whose members are stored, not compressed, as PyTorch writes them
// (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, with zip64).
namespace bramble::model::files {

struct ZipMember {
  std::string_view name;             // as in the archive, any bytes
  std::span<const std::byte> bytes;  // its content
};

// Whether a file begins as a zip archive does.
bool IsZip(std::span<const std::byte> head);

// The members by the central directory, in its order; they point into `bytes`. Refuses compressed
// and encrypted members (so an archive expands to nothing), members that share bytes, and ones
// whose own header says another thing than the directory.
Result<std::vector<ZipMember>> ReadZip(std::span<const std::byte> bytes);

}  // namespace bramble::model::files
