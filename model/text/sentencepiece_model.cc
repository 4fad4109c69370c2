#include <bit>
#include <cstring>
#include <utility>

#include "model/files/quote.h"
#include "model/text/checked_vocabulary.h"
#include "model/text/vocabulary.h"

// A SentencePiece model file is one protobuf message (google/sentencepiece,
// sentencepiece_model.proto). Only its field numbers are used here, so that no generated code and
// no allocation before a check stands between us and the bytes.
namespace bramble::model::text {
namespace {

// One field of a message: varint, fixed or bytes.
struct Field {
  std::uint32_t number = 0;
  std::uint32_t wire_type = 0;  // 0 varint, 1 fixed 64, 2 bytes, 5 fixed 32
  std::uint64_t value = 0;
  std::string_view bytes;

  bool Flag() const { return value != 0; }
};

// Reads the fields of one message.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  bool AtEnd() const { return rest_.empty(); }

  Status Next(Field& field) {
    std::uint64_t tag = 0;
    RETURN_IF_ERROR(Varint(tag));
    field = Field();
    field.number = static_cast<std::uint32_t>(tag >> 3U);
    field.wire_type = static_cast<std::uint32_t>(tag & 7U);
    if (tag >> 35U != 0 || field.number == 0) return Bad("a field has no number");
    switch (field.wire_type) {
      case 0:
        return Varint(field.value);
      case 1:
        return Fixed(8, field.value);
      case 5:
        return Fixed(4, field.value);
      case 2: {
        std::uint64_t size = 0;
        RETURN_IF_ERROR(Varint(size));
        if (size > rest_.size()) return Bad("a field ends past the end of the file");
        field.bytes = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return {};
      }
      default:
        return Bad("a field has a wire type that is not known");
    }
  }

 private:
  static Status Bad(const char* what) {
    return Invalid("the SentencePiece model is not a protobuf message: ", what);
  }

  Status Varint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Bad("it ends inside a number");
      const auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return {};
    }
    return Bad("a number has more than 64 bits");
  }

  Status Fixed(std::size_t bytes, std::uint64_t& value) {
    if (rest_.size() < bytes) return Bad("it ends inside a number");
    value = 0;
    for (std::size_t i = bytes; i-- > 0;)
      value = value << 8U | static_cast<unsigned char>(rest_[i]);
    rest_.remove_prefix(bytes);
    return {};
  }

  std::string_view rest_;
};

// ModelProto.SentencePiece: 1 piece, 2 score, 3 type.
Status ReadPiece(std::string_view bytes, VocabularySpec& spec) {
  std::string token;
  float score = 0;
  std::uint64_t type = 1;
  Message message(bytes);
  for (Field field; !message.AtEnd();) {
    RETURN_IF_ERROR(message.Next(field));
    if (field.number == 1 && field.wire_type == 2) token = field.bytes;
    if (field.number == 2 && field.wire_type == 5)
      score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    if (field.number == 3 && field.wire_type == 0) type = field.value;
  }
  if (type < 1 || type > 6) {
    return Invalid("piece ", spec.tokens.size(), " ", files::Quote(token),
                   " of the SentencePiece model has the type ", type, ", known are 1 to 6");
  }
  if (spec.tokens.size() == kMaxTokens) {
    return Invalid("the SentencePiece model has more than ", kMaxTokens, " pieces");
  }
  spec.tokens.push_back(std::move(token));
  spec.scores.push_back(score);
  spec.types.push_back(static_cast<TokenType>(type));
  return {};
}

// TrainerSpec: 3 model_type, 24 treat_whitespace_as_suffix, 40..43 unk_id, bos_id, eos_id, pad_id.
Status ReadTrainer(std::string_view bytes, VocabularySpec& spec) {
  std::uint64_t model_type = 1;
  std::int64_t ids[4] = {0, 1, 2, -1};
  Message message(bytes);
  for (Field field; !message.AtEnd();) {
    RETURN_IF_ERROR(message.Next(field));
    if (field.wire_type != 0) continue;
    if (field.number == 3) model_type = field.value;
    if (field.number == 24 && field.Flag()) {
      return Unimplemented(
          "the SentencePiece model writes spaces behind words (treat_whitespace_as_suffix)");
    }
    // Negative: there is none. An int32 travels as 64 bits.
    if (field.number >= 40 && field.number <= 43)
      ids[field.number - 40] = static_cast<std::int64_t>(field.value);
  }
  if (model_type != 1 && model_type != 2) {
    return Unimplemented("the SentencePiece model is of type ", model_type,
                         "; known are 1 (unigram) and 2 (BPE)");
  }
  spec.kind =
      model_type == 1 ? VocabularyKind::kSentencePieceUnigram : VocabularyKind::kSentencePieceBpe;
  std::optional<std::uint32_t>* const places[4] = {&spec.unknown, &spec.bos, &spec.eos,
                                                   &spec.padding};
  for (std::size_t i = 0; i < 4; ++i) {
    *places[i] = std::nullopt;
    if (ids[i] < 0) continue;
    if (ids[i] >= static_cast<std::int64_t>(kMaxTokens)) {
      return Invalid("the SentencePiece model names the token ", ids[i], ", which it cannot have");
    }
    *places[i] = static_cast<std::uint32_t>(ids[i]);
  }
  return {};
}

// NormalizerSpec: 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5
// escape_whitespaces.
Status ReadNormalizer(std::string_view bytes, VocabularySpec& spec) {
  Message message(bytes);
  for (Field field; !message.AtEnd();) {
    RETURN_IF_ERROR(message.Next(field));
    if (field.number == 2 && field.wire_type == 2) spec.charsmap = field.bytes;
    if (field.wire_type != 0) continue;
    if (field.number == 3) spec.add_space_prefix = field.Flag();
    if (field.number == 4) spec.remove_extra_spaces = field.Flag();
    if (field.number == 5 && !field.Flag()) {
      return Unimplemented(
          "the SentencePiece model keeps spaces as they are (escape_whitespaces is false)");
    }
  }
  return {};
}

}  // namespace

Result<VocabularySpec> ReadSentencePieceModel(std::span<const std::byte> bytes) {
  VocabularySpec spec;
  // proto2 defaults of fields that a file leaves out.
  RETURN_IF_ERROR(ReadTrainer({}, spec));
  spec.add_space_prefix = true;
  spec.remove_extra_spaces = true;
  Message model(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  for (Field field; !model.AtEnd();) {  // ModelProto: 1 pieces, 2 trainer_spec, 3 normalizer_spec
    RETURN_IF_ERROR(model.Next(field));
    if (field.wire_type != 2) continue;
    if (field.number == 1) RETURN_IF_ERROR(ReadPiece(field.bytes, spec));
    if (field.number == 2) RETURN_IF_ERROR(ReadTrainer(field.bytes, spec));
    if (field.number == 3) RETURN_IF_ERROR(ReadNormalizer(field.bytes, spec));
  }
  // A small vocabulary may lack the tokens that the defaults name.
  for (auto* id : {&spec.bos, &spec.eos, &spec.unknown, &spec.padding}) {
    if (id->has_value() && **id >= spec.tokens.size()) id->reset();
  }
  spec.add_bos = spec.kind == VocabularyKind::kSentencePieceBpe && spec.bos.has_value();
  spec.add_eos = false;
  return spec;
}

}  // namespace bramble::model::text
