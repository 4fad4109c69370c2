#include "model/codec.h"

#include <utility>

#include "model/files/quote.h"

namespace bramble::model {
namespace {

const char* KindName(text::VocabularyKind kind) {
  switch (kind) {
    case text::VocabularyKind::kByteLevelBpe:
      return "byte-level BPE";
    case text::VocabularyKind::kSentencePieceBpe:
      return "SentencePiece BPE";
    case text::VocabularyKind::kSentencePieceUnigram:
      return "SentencePiece unigram";
    case text::VocabularyKind::kWordPiece:
      return "WordPiece";
  }
  return "unknown";
}

constexpr std::size_t kNoteLimit = 500;

Status AddTokenizer(Result<text::VocabularySpec> spec, std::uint32_t vocabulary_size,
                    Codec* codec) {
  RETURN_IF_ERROR(spec.status());
  const std::size_t tokens = spec->tokens.size();
  if (vocabulary_size > 0 && tokens > vocabulary_size) {
    return Invalid("it has ", tokens, " tokens, and the embedding table ", vocabulary_size,
                   " rows");
  }
  const text::VocabularyKind kind = spec->kind;
  ASSIGN_OR_RETURN(codec->tokenizer, text::MakeTokenizer(*std::move(spec)));
  codec->kind = std::string(KindName(kind)) + ", " + std::to_string(tokens) + " tokens";
  return {};
}

Status AddTemplate(Result<std::string> source, Codec* codec) {
  RETURN_IF_ERROR(source.status());
  if (source->empty()) return NotFound("the model has none");
  ASSIGN_OR_RETURN(codec->chat_template, text::ChatTemplate::Parse(*source));
  return {};
}

void Note(const char* what, const Status& status, Codec* codec) {
  if (!status.ok()) codec->notes.push_back(what + files::Escape(status.message(), kNoteLimit));
}

}  // namespace

Codec ReadCodec(const files::ModelFiles& files, std::uint32_t vocabulary_size) {
  const bool is_hf = files.dialect == files::Dialect::kHuggingFace;
  Codec codec;
  Note("no tokenizer: ",
       AddTokenizer(is_hf ? ReadHfVocabulary(files) : ReadGgufVocabulary(files.metadata),
                    vocabulary_size, &codec),
       &codec);
  Note("no chat template: ",
       AddTemplate(is_hf ? ReadHfTemplate(files) : ReadGgufTemplate(files.metadata), &codec),
       &codec);
  return codec;
}

}  // namespace bramble::model
