#include "tests/model/files/pytorch_helpers.h"

#include "tests/model/files/file_helpers.h"

namespace bramble::model::files {
ZipWriter::Member& ZipWriter::Add(std::string_view name, std::string_view bytes) {
  Member member;
  member.name = member.local_name = name;
  member.bytes = bytes;
  member.size = member.packed = static_cast<std::uint32_t>(bytes.size());
  return members_.emplace_back(std::move(member));
}

std::string ZipWriter::Finish(bool large, std::string_view comment) const {
  std::string out;
  std::string directory;
  for (const Member& m : members_) {
    const std::uint64_t at = m.offset < 0 ? out.size() : static_cast<std::uint64_t>(m.offset);
    out += Raw<std::uint32_t>(0x04034b50) + Raw<std::uint16_t>(10) + Raw(m.flags) + Raw(m.method) +
           Raw<std::uint32_t>(0) + Raw<std::uint32_t>(0) + Raw(m.packed) + Raw(m.size) +
           Raw(static_cast<std::uint16_t>(m.local_name.size())) + Raw<std::uint16_t>(3) +
           m.local_name + "\x09\x09\x09" + m.bytes;
    std::string extra;
    if (m.large) {
      extra = Raw<std::uint16_t>(7) + Raw<std::uint16_t>(2) + "xx" + Raw<std::uint16_t>(1) +
              Raw<std::uint16_t>(24) + Raw<std::uint64_t>(m.size) + Raw<std::uint64_t>(m.packed) +
              Raw<std::uint64_t>(at);
    }
    const auto word = [&](std::uint64_t value) {
      return Raw(m.large ? 0xffffffffU : static_cast<std::uint32_t>(value));
    };
    directory += Raw<std::uint32_t>(0x02014b50) + Raw<std::uint16_t>(10) + Raw<std::uint16_t>(10) +
                 Raw(m.flags) + Raw(m.method) + Raw<std::uint32_t>(0) + Raw<std::uint32_t>(0) +
                 word(m.packed) + word(m.size) + Raw(static_cast<std::uint16_t>(m.name.size())) +
                 Raw(static_cast<std::uint16_t>(extra.size())) + Raw<std::uint16_t>(0) +
                 Raw<std::uint16_t>(0) + Raw<std::uint16_t>(0) + Raw<std::uint32_t>(0) + word(at) +
                 m.name + extra;
  }
  const std::uint64_t begin = out.size();
  const auto count = static_cast<std::uint16_t>(members_.size());
  out += directory;
  if (large) {
    const std::uint64_t record = out.size();
    out += Raw<std::uint32_t>(0x06064b50) + Raw<std::uint64_t>(44) + Raw<std::uint16_t>(45) +
           Raw<std::uint16_t>(45) + Raw<std::uint32_t>(0) + Raw<std::uint32_t>(0) +
           Raw<std::uint64_t>(count) + Raw<std::uint64_t>(count) +
           Raw<std::uint64_t>(directory.size()) + Raw(begin);
    out += Raw<std::uint32_t>(0x07064b50) + Raw<std::uint32_t>(0) + Raw(record) +
           Raw<std::uint32_t>(1);
  }
  out += Raw<std::uint32_t>(0x06054b50) + Raw<std::uint16_t>(0) + Raw<std::uint16_t>(0) +
         Raw(count) + Raw(count) +
         Raw(large ? 0xffffffffU : static_cast<std::uint32_t>(directory.size())) +
         Raw(large ? 0xffffffffU : static_cast<std::uint32_t>(begin)) +
         Raw(static_cast<std::uint16_t>(comment.size())) + std::string(comment);
  return out;
}

std::string PickleText::Finish() const {
  std::string whole("\x80\x02");
  whole.append(text_).append(".");
  return whole;
}

PickleText& PickleText::Name(std::string_view module, std::string_view name) {
  return Op("c").Op(module).Op("\n").Op(name).Op("\n");
}

PickleText& PickleText::Text(std::string_view text) {
  return Op("X").Op(Raw(static_cast<std::uint32_t>(text.size()))).Op(text);
}

PickleText& PickleText::Whole(std::int32_t number) { return Op("J").Op(Raw(number)); }

PickleText& PickleText::Wholes(const std::vector<std::int32_t>& numbers) {
  Op("(");
  for (const std::int32_t number : numbers) Whole(number);
  return Op("t");
}

PickleText& PickleText::Tensor(std::string_view key, std::int32_t offset,
                               const std::vector<std::int32_t>& size,
                               const std::vector<std::int32_t>& stride, std::string_view storage,
                               std::string_view type) {
  Text(key).Name("torch._utils", "_rebuild_tensor_v2").Op("(");
  Op("(").Text("storage").Name("torch", type).Text(storage).Text("cpu").Whole(1).Op("tQ");
  return Whole(offset).Wholes(size).Wholes(stride).Op("\x89").Op("}tR");
}

std::string TorchZip(std::string_view pickle,
                     const std::vector<std::pair<std::string, std::string>>& storages) {
  ZipWriter zip;
  zip.Add("archive/data.pkl", pickle);
  for (const auto& [key, bytes] : storages)
    zip.Add(std::string("archive/data/").append(key), bytes);
  return zip.Finish();
}

std::string Dict(const PickleText& items) {
  const std::string inner = items.Finish();
  return PickleText().Op("}(").Op(inner.substr(2, inner.size() - 3)).Op("u").Finish();
}

}  // namespace bramble::model::files
