#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bramble::model::files {

// Writes zip archives, also wrong ones.
class ZipWriter {
 public:
  struct Member {
    std::string name;
    std::string bytes;
    // What the headers say; by default the truth.
    std::string local_name;
    std::uint16_t method = 0;
    std::uint16_t flags = 0;
    std::uint32_t size = 0;
    std::uint32_t packed = 0;
    std::int64_t offset = -1;  // -1: where it lies
    bool large = false;        // sizes and offset in a 64-bit extra field
  };

  Member& Add(std::string_view name, std::string_view bytes);
  // `large`: with the records of 64 bits at the end.
  std::string Finish(bool large = false, std::string_view comment = "") const;

 private:
  std::vector<Member> members_;
};

// A pickle in the making: its operations, one after the other.
class PickleText {
 public:
  PickleText& Op(std::string_view bytes) {
    text_ += bytes;
    return *this;
  }
  PickleText& Name(std::string_view module, std::string_view name);
  PickleText& Text(std::string_view text);
  PickleText& Whole(std::int32_t number);
  PickleText& Wholes(const std::vector<std::int32_t>& numbers);  // a tuple
  // The key, and a tensor: of an F32 storage "0" unless others are said.
  PickleText& Tensor(std::string_view key, std::int32_t offset,
                     const std::vector<std::int32_t>& size, const std::vector<std::int32_t>& stride,
                     std::string_view storage = "0", std::string_view type = "FloatStorage");
  std::string Finish() const;

 private:
  std::string text_;
};

// A file as torch.save writes it: a pickle, and storages by their keys.
std::string TorchZip(std::string_view pickle,
                     const std::vector<std::pair<std::string, std::string>>& storages);
// A dict of what `items` puts on the stack, keys and values.
std::string Dict(const PickleText& items);

}  // namespace bramble::model::files
