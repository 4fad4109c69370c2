#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "model/files/model_files.h"

namespace bramble::model::families {

// One entry of a model's description under the names that it has in GGUF metadata (without the
// architecture in front) and in config.json. Empty: that dialect has no such entry, so it counts as
// missing.
struct Key {
  std::string_view gguf;
  std::string_view hf;
};

// Reads a model's description, every number with its range. The first error stays: a family reads
// everything it needs and asks status() once; what it got after an error is the `least` or the
// default. One thread.
class Fields {
 public:
  // `architecture`: stands in front of GGUF keys. `section`: in front of config.json's, as
  // "text_config.". `files` must outlive this.
  Fields(const files::ModelFiles& files, std::string architecture, std::string section);

  bool is_hf() const { return files_.dialect == files::Dialect::kHuggingFace; }
  bool Has(Key key) const { return Find(key) != nullptr; }

  // A whole number of [least, most]. A list with one number a layer is taken if all are equal.
  std::uint32_t Count(Key key, std::uint32_t least, std::uint32_t most);
  std::uint32_t Count(Key key, std::uint32_t least, std::uint32_t most, std::uint32_t if_missing);

  // config.json leaves out what has the family's default value; GGUF metadata does not.
  std::uint32_t CountOrHfDefault(Key key, std::uint32_t least, std::uint32_t most,
                                 std::uint32_t hf_default);
  double RealOrHfDefault(Key key, double above, double most, double hf_default);

  // A finite number of (above, most].
  double Real(Key key, double above, double most);
  double Real(Key key, double above, double most, double if_missing);

  // A number of [0, most], where 0 and a missing one mean "none".
  double OptionalReal(Key key, double most);

  bool Flag(Key key, bool if_missing);
  std::string Text(Key key, std::string_view if_missing);

  // The value itself, for what the above cannot say; nullptr if it is missing.
  const files::MetaValue* Find(Key key) const;

  // "metadata key 'llama.block_count'", "config.json: 'num_hidden_layers'".
  std::string Place(Key key) const;

  // Keeps `status` if it is the first error.
  void Refuse(Status status);
  const Status& status() const { return status_; }

 private:
  std::string FullName(Key key) const;
  std::uint32_t CheckCount(Key key, const files::MetaValue& value, std::uint32_t least,
                           std::uint32_t most);
  double CheckReal(Key key, const files::MetaValue& value, double above, double most);
  void Missing(Key key);
  void Wrong(Key key, const files::MetaValue& value, std::string_view needed);

  const files::ModelFiles& files_;
  std::string architecture_;
  std::string section_;
  Status status_;
};

}  // namespace bramble::model::families
