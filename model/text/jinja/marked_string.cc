#include "model/text/jinja/marked_string.h"

#include <algorithm>

#include "common/check.h"

namespace bramble::model::text::jinja {

void MarkedString::Append(std::string_view bytes, bool trusted) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!stretches_.empty() && stretches_.back().trusted == trusted) {
    stretches_.back().end = bytes_.size();
  } else {
    stretches_.push_back({bytes_.size(), trusted});
  }
}

std::size_t MarkedString::StretchAt(std::size_t at) const {
  const auto found = std::upper_bound(
      stretches_.begin(), stretches_.end(), at,
      [](std::size_t place, const Stretch& stretch) { return place < stretch.end; });
  return static_cast<std::size_t>(found - stretches_.begin());
}

void MarkedString::AppendPart(const MarkedString& other, std::size_t begin, std::size_t end) {
  CHECK(begin <= end && end <= other.size() && &other != this);
  const std::string_view bytes = other.bytes_;
  for (std::size_t i = other.StretchAt(begin); begin < end; ++i) {
    const std::size_t stop = std::min(end, other.stretches_[i].end);
    Append(bytes.substr(begin, stop - begin), other.stretches_[i].trusted);
    begin = stop;
  }
}

MarkedString MarkedString::Part(std::size_t begin, std::size_t end) const {
  MarkedString part;
  part.AppendPart(*this, begin, end);
  return part;
}

bool MarkedString::IsTrusted(std::size_t at) const {
  CHECK(at < size());
  return stretches_[StretchAt(at)].trusted;
}

std::vector<MarkedText> MarkedString::Stretches() const {
  std::vector<MarkedText> parts;
  std::size_t begin = 0;
  for (const Stretch& stretch : stretches_) {
    parts.push_back({bytes_.substr(begin, stretch.end - begin), stretch.trusted});
    begin = stretch.end;
  }
  return parts;
}

}  // namespace bramble::model::text::jinja
