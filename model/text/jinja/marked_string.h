#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/marked_text.h"

namespace bramble::model::text::jinja {

// Text that remembers, byte by byte, whether the template wrote it or the caller of Render did.
// Every operation on strings goes through this class, so the mark cannot get lost. A value.
class MarkedString {
 public:
  MarkedString() = default;
  MarkedString(std::string_view bytes, bool trusted) { Append(bytes, trusted); }

  const std::string& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size(); }

  void Append(std::string_view bytes, bool trusted);
  void Append(const MarkedString& other) { AppendPart(other, 0, other.size()); }
  // The bytes [begin, end) of `other`. Requires begin <= end <= other.size(), and that `other` is
  // not this.
  void AppendPart(const MarkedString& other, std::size_t begin, std::size_t end);
  MarkedString Part(std::size_t begin, std::size_t end) const;

  // Whether the template wrote the byte. Requires at < size().
  bool IsTrusted(std::size_t at) const;

  std::vector<MarkedText> Stretches() const;

 private:
  // Bytes up to `end` (and from the end of the stretch before) have this mark. The last end is the
  // size; neighbours differ.
  struct Stretch {
    std::size_t end;
    bool trusted;
  };
  std::size_t StretchAt(std::size_t at) const;

  std::string bytes_;
  std::vector<Stretch> stretches_;
};

}  // namespace bramble::model::text::jinja
