#include "model/text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>

#include <cstdint>
#include <limits>

#include "model/text/utf8.h"

namespace bramble::model::text {

Result<std::string> NormalForm(std::string_view text, UnicodeForm form) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = nullptr;
  switch (form) {
    case UnicodeForm::kNfc:
      normalizer = icu::Normalizer2::getNFCInstance(error);
      break;
    case UnicodeForm::kNfd:
      normalizer = icu::Normalizer2::getNFDInstance(error);
      break;
    case UnicodeForm::kNfkc:
      normalizer = icu::Normalizer2::getNFKCInstance(error);
      break;
    case UnicodeForm::kNfkd:
      normalizer = icu::Normalizer2::getNFKDInstance(error);
      break;
    case UnicodeForm::kNone:
      CHECK(form != UnicodeForm::kNone);
  }
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    return Invalid("a text of ", text.size(), " bytes is too long to be normalized");
  }
  std::string normal;
  if (U_SUCCESS(error)) {
    icu::StringByteSink<std::string> sink(&normal, static_cast<std::int32_t>(text.size()));
    normalizer->normalizeUTF8(0,
                              icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())),
                              sink, nullptr, error);
  }
  if (U_FAILURE(error)) return Internal("ICU cannot normalize this text: ", u_errorName(error));
  return normal;
}

bool IsSpace(char32_t letter) { return u_isUWhiteSpace(static_cast<UChar32>(letter)) != 0; }

bool IsPythonSpace(char32_t letter) {
  return IsSpace(letter) || (letter >= 0x1c && letter <= 0x1f);
}

bool IsPunctuation(char32_t letter) {
  if (letter < 0x80) {
    return (letter >= '!' && letter <= '/') || (letter >= ':' && letter <= '@') ||
           (letter >= '[' && letter <= '`') || (letter >= '{' && letter <= '~');
  }
  return (U_GET_GC_MASK(static_cast<UChar32>(letter)) & U_GC_P_MASK) != 0;
}

bool IsWordLetter(char32_t letter) {
  return (U_GET_GC_MASK(static_cast<UChar32>(letter)) &
          (U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

bool IsOther(char32_t letter) {
  constexpr std::uint32_t kMask = U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK | U_GC_CS_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(letter)) & kMask) != 0;
}

bool IsPythonPrintable(char32_t letter) {
  return letter == ' ' ||
         (U_GET_GC_MASK(static_cast<UChar32>(letter)) & (U_GC_C_MASK | U_GC_Z_MASK)) == 0;
}

bool IsLetter(char32_t letter) {
  return (U_GET_GC_MASK(static_cast<UChar32>(letter)) & U_GC_L_MASK) != 0;
}

bool IsDecimal(char32_t letter) {
  return u_charType(static_cast<UChar32>(letter)) == U_DECIMAL_DIGIT_NUMBER;
}

bool IsUpper(char32_t letter) { return u_isUUppercase(static_cast<UChar32>(letter)) != 0; }

bool IsLower(char32_t letter) { return u_isULowercase(static_cast<UChar32>(letter)) != 0; }

bool IsNonspacingMark(char32_t letter) {
  return u_charType(static_cast<UChar32>(letter)) == U_NON_SPACING_MARK;
}

bool IsChinese(char32_t letter) {
  return (letter >= 0x4e00 && letter <= 0x9fff) || (letter >= 0x3400 && letter <= 0x4dbf) ||
         (letter >= 0x20000 && letter <= 0x2a6df) || (letter >= 0x2a700 && letter <= 0x2b73f) ||
         (letter >= 0x2b740 && letter <= 0x2b81f) || (letter >= 0x2b920 && letter <= 0x2ceaf) ||
         (letter >= 0xf900 && letter <= 0xfaff) || (letter >= 0x2f800 && letter <= 0x2fa1f);
}

void AppendLower(char32_t letter, std::string& out) {
  if (letter ==
      0x130) {  // the only character whose lower case is two (SpecialCasing.txt, unconditional)
    out += "i\xcc\x87";
    return;
  }
  AppendUtf8(static_cast<char32_t>(u_tolower(static_cast<UChar32>(letter))), out);
}

void AppendUpper(char32_t letter, bool title, std::string& out) {
  if (title) return AppendUtf8(static_cast<char32_t>(u_totitle(static_cast<UChar32>(letter))), out);
  std::string source;
  AppendUtf8(letter, source);
  const icu::StringPiece piece(source.data(), static_cast<std::int32_t>(source.size()));
  UErrorCode error = U_ZERO_ERROR;
  std::string upper;
  icu::StringByteSink<std::string> sink(&upper);
  // The root locale: no language's own rules.
  icu::CaseMap::utf8ToUpper("", 0, piece, sink, nullptr, error);
  out += U_SUCCESS(error) ? upper : source;
}

}  // namespace bramble::model::text
