#include "model/files/zip.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "model/files/little_endian.h"
#include "model/files/quote.h"
#include "model/files/tensor_index.h"

namespace bramble::model::files {
namespace {

constexpr std::uint32_t kLocalHeader = 0x04034b50;
constexpr std::uint32_t kDirectoryEntry = 0x02014b50;
constexpr std::uint32_t kDirectoryEnd = 0x06054b50;
constexpr std::uint32_t kDirectoryEnd64 = 0x06064b50;
constexpr std::uint32_t kLocator64 = 0x07064b50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kEntryBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocatorBytes = 20;
constexpr std::size_t kMostComment = 0xffff;
constexpr std::uint16_t kExtra64 = 1;
constexpr std::uint32_t kSee64 = 0xffffffff;

using Bytes = std::span<const std::byte>;

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t offset = 0;
  std::uint64_t end = 0;  // where what follows it begins
};

std::uint32_t Word(Bytes bytes, std::size_t at) { return Load<std::uint32_t>(bytes.data() + at); }
std::uint16_t Half(Bytes bytes, std::size_t at) { return Load<std::uint16_t>(bytes.data() + at); }
std::uint64_t Long(Bytes bytes, std::size_t at) { return Load<std::uint64_t>(bytes.data() + at); }

// The record at the end of the archive may be followed by a comment.
std::optional<std::size_t> FindEnd(Bytes bytes) {
  if (bytes.size() < kEndBytes) return {};
  const std::size_t last = bytes.size() - kEndBytes;
  const std::size_t first = last > kMostComment ? last - kMostComment : 0;
  for (std::size_t at = last + 1; at-- > first;) {
    if (Word(bytes, at) == kDirectoryEnd && Half(bytes, at + 20) == last - at) return at;
  }
  return {};
}

Result<Directory> FindDirectory(Bytes bytes) {
  const auto end = FindEnd(bytes);
  if (!end) return Invalid("the zip archive has no directory; is it cut off?");
  Directory directory{Half(bytes, *end + 10), Word(bytes, *end + 12), Word(bytes, *end + 16), *end};
  if (Half(bytes, *end + 4) != 0 || Half(bytes, *end + 6) != 0) {
    return Unimplemented("a zip archive in several parts cannot be read");
  }
  if (*end >= kLocatorBytes && Word(bytes, *end - kLocatorBytes) == kLocator64) {
    const std::uint64_t at = Long(bytes, *end - kLocatorBytes + 8);
    if (*end - kLocatorBytes < kEnd64Bytes || at > *end - kLocatorBytes - kEnd64Bytes ||
        Word(bytes, at) != kDirectoryEnd64) {
      return Invalid("the zip archive's 64-bit directory is not at byte ", at);
    }
    directory = {Long(bytes, at + 32), Long(bytes, at + 40), Long(bytes, at + 48), at};
  }
  if (directory.offset > directory.end || directory.bytes > directory.end - directory.offset ||
      directory.entries > directory.bytes / kEntryBytes) {
    return Invalid("the zip archive's directory of ", directory.entries, " members, ",
                   directory.bytes, " bytes at ", directory.offset, " does not lie in the file of ",
                   bytes.size(), " bytes");
  }
  return directory;
}

struct Entry {
  std::string_view name;
  std::uint64_t size = 0;
  std::uint64_t packed = 0;
  std::uint64_t offset = 0;
  std::size_t end = 0;  // of the entry in the directory
};

// Sizes and offsets that do not fit into 32 bits stand in an extra field, in this order.
Status ReadExtra(Bytes extra, Entry* entry) {
  while (extra.size() >= 4) {
    const std::uint16_t kind = Half(extra, 0);
    const std::size_t size = Half(extra, 2);
    if (size > extra.size() - 4) break;
    Bytes field = extra.subspan(4, size);
    if (kind == kExtra64) {
      for (std::uint64_t* number : {&entry->size, &entry->packed, &entry->offset}) {
        if (*number != kSee64) continue;
        if (field.size() < 8) return Invalid("its 64-bit sizes are cut off");
        *number = Long(field, 0);
        field = field.subspan(8);
      }
    }
    extra = extra.subspan(4 + size);
  }
  return {};
}

Result<Entry> ReadEntry(Bytes bytes, std::size_t at, std::size_t limit) {
  if (limit - at < kEntryBytes || Word(bytes, at) != kDirectoryEntry) {
    return Invalid("the zip archive's directory has no entry at byte ", at);
  }
  Entry entry;
  const std::size_t name = Half(bytes, at + 28);
  const std::size_t extra = Half(bytes, at + 30);
  const std::size_t comment = Half(bytes, at + 32);
  if (limit - at - kEntryBytes < name + extra + comment) {
    return Invalid("the zip archive's directory is cut off at byte ", at);
  }
  entry.name = {reinterpret_cast<const char*>(bytes.data() + at + kEntryBytes), name};
  entry.packed = Word(bytes, at + 20);
  entry.size = Word(bytes, at + 24);
  entry.offset = Word(bytes, at + 42);
  entry.end = at + kEntryBytes + name + extra + comment;
  const auto check = [&]() -> Status {
    RETURN_IF_ERROR(ReadExtra(bytes.subspan(at + kEntryBytes + name, extra), &entry));
    if ((Half(bytes, at + 8) & 1U) != 0) return Unimplemented("it is encrypted");
    if (const std::uint16_t method = Half(bytes, at + 10);
        method != 0 || entry.size != entry.packed) {
      return Unimplemented("it is compressed (method ", method,
                           "), and only stored members can be read");
    }
    return {};
  };
  RETURN_IF_ERROR(check().WithContext("member " + Quote(entry.name)));
  return entry;
}

// The content of a member: it follows a header that repeats what the directory says.
Result<Bytes> FindContent(Bytes bytes, const Entry& entry, std::uint64_t limit) {
  if (entry.offset > limit || limit - entry.offset < kLocalBytes ||
      Word(bytes, entry.offset) != kLocalHeader) {
    return Invalid("there is no header at byte ", entry.offset);
  }
  const Bytes header = bytes.subspan(entry.offset);
  const std::size_t name = Half(header, 26);
  const std::size_t begin = kLocalBytes + name + Half(header, 28);
  const std::uint64_t room = limit - entry.offset;
  if (begin > room || entry.size > room - begin) {
    return Invalid("its ", entry.size, " bytes at ", entry.offset, " end past ", limit);
  }
  const std::string_view own(reinterpret_cast<const char*>(header.data() + kLocalBytes), name);
  if (own != entry.name || Half(header, 8) != 0) {
    return Invalid("its own header says another name or method: ", Quote(own));
  }
  return header.subspan(begin, entry.size);
}

}  // namespace

bool IsZip(std::span<const std::byte> head) {
  return head.size() >= 4 && (Word(head, 0) == kLocalHeader || Word(head, 0) == kDirectoryEnd);
}

Result<std::vector<ZipMember>> ReadZip(std::span<const std::byte> bytes) {
  ASSIGN_OR_RETURN(const Directory directory, FindDirectory(bytes));
  std::vector<ZipMember> members;
  std::vector<Extent> extents;
  std::vector<std::string_view> names;
  std::size_t at = directory.offset;
  const std::size_t limit = directory.offset + directory.bytes;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    ASSIGN_OR_RETURN(const Entry entry, ReadEntry(bytes, at, limit));
    auto content = FindContent(bytes, entry, directory.offset);
    if (!content.ok()) return content.status().WithContext("member " + Quote(entry.name));
    const auto end = static_cast<std::uint64_t>(content->data() + content->size() - bytes.data());
    extents.push_back({entry.offset, end, members.size()});
    members.push_back({entry.name, *content});
    names.push_back(entry.name);
    at = entry.end;
  }
  std::size_t first = 0;
  std::size_t second = 0;
  if (FindOverlap(&extents, &first, &second)) {
    return Invalid("members ", Quote(members[first].name), " and ", Quote(members[second].name),
                   " share bytes");
  }
  std::sort(names.begin(), names.end());
  const auto twin = std::adjacent_find(names.begin(), names.end());
  if (twin != names.end()) return Invalid("two members are named ", Quote(*twin));
  return members;
}

}  // namespace bramble::model::files
