#include "model/text/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <utility>

namespace bramble::model::text {
namespace {

constexpr std::size_t kMaxExpressions = 64;
constexpr std::size_t kMaxExpressionBytes = 64 << 10;
// For one match. The expressions of real models stay under a few thousand on any text but one: a
// letter run of megabytes.
constexpr std::uint32_t kMatchLimit = 10'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 << 10;
constexpr std::size_t kJitStackBytes = 1 << 20;
// For one text: an expression could spend the match limit at every byte. Processor time, so that a
// busy machine does not change the answer; 50 times what the slowest expression of a real model
// takes on a Raspberry Pi 4.
constexpr double kSeconds = 2;
constexpr double kSecondsPerByte = 1e-6;
// Reading the clock costs as much as a match.
constexpr std::uint64_t kMatchesPerLook = 16;

double ProcessorSeconds() {
  std::timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::string MessageOf(int error) {
  std::array<PCRE2_UCHAR, 256> buffer{};
  if (pcre2_get_error_message(error, buffer.data(), buffer.size()) < 0) return "unknown error";
  return reinterpret_cast<const char*>(buffer.data());
}

struct CodeFree {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchDataFree {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct ContextFree {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct JitStackFree {
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};

}  // namespace

struct Splitter::Expression {
  std::string source;
  std::unique_ptr<pcre2_code, CodeFree> code;
};

// What one call of Split needs to match: PCRE2's own rule is that these are not shared by threads.
class Splitter::Matcher {
 public:
  explicit Matcher(std::size_t text_bytes)
      : deadline_(ProcessorSeconds() + kSeconds +
                  kSecondsPerByte * static_cast<double>(text_bytes)),
        data_(pcre2_match_data_create(1, nullptr)),
        context_(pcre2_match_context_create(nullptr)),
        stack_(pcre2_jit_stack_create(32 << 10, kJitStackBytes, nullptr)) {
    CHECK(data_ != nullptr && context_ != nullptr);
    pcre2_set_match_limit(context_.get(), kMatchLimit);
    pcre2_set_heap_limit(context_.get(), kHeapLimitKib);
    if (stack_ != nullptr) pcre2_jit_stack_assign(context_.get(), nullptr, stack_.get());
  }

  // The next match in text[from..): first and last byte. Ok and {npos, npos}: none.
  Status Find(const Expression& expression, std::string_view text, std::size_t from,
              std::size_t& begin, std::size_t& end) {
    if (++matches_ % kMatchesPerLook == 0 && ProcessorSeconds() > deadline_) {
      return OverBudget(expression, "it takes too long");
    }
    int found = Match(expression, text, from, PCRE2_NO_UTF_CHECK);
    // The interpreter has its own, larger memory.
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = Match(expression, text, from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT);
    }
    begin = end = std::string_view::npos;
    if (found == PCRE2_ERROR_NOMATCH) return {};
    if (found < 0) return OverBudget(expression, MessageOf(found));
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data_.get());
    // \K in a lookahead can put the beginning behind the end, or before `from`.
    begin = std::max<std::size_t>(ends[0], from);
    end = std::max<std::size_t>(ends[1], begin);
    return {};
  }

 private:
  int Match(const Expression& expression, std::string_view text, std::size_t from,
            std::uint32_t options) {
    return pcre2_match(expression.code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                       text.size(), from, options, data_.get(), context_.get());
  }

  static Status OverBudget(const Expression& expression, const std::string& why) {
    return Exhausted("the tokenizer's expression '", expression.source.substr(0, 80),
                     "' gave up on this text: ", why,
                     "; send a shorter text, or one with fewer unbroken runs");
  }

  double deadline_;
  std::unique_ptr<pcre2_match_data, MatchDataFree> data_;
  std::unique_ptr<pcre2_match_context, ContextFree> context_;
  std::unique_ptr<pcre2_jit_stack, JitStackFree> stack_;  // null: no JIT here
  std::uint64_t matches_ = 0;
};

Splitter::Splitter() = default;
Splitter::Splitter(Splitter&&) noexcept = default;
Splitter& Splitter::operator=(Splitter&&) noexcept = default;
Splitter::~Splitter() = default;

Result<Splitter> Splitter::Create(const std::vector<std::string>& expressions) {
  if (expressions.size() > kMaxExpressions) {
    return Invalid("the tokenizer has ", expressions.size(), " split expressions, at most ",
                   kMaxExpressions, " are allowed");
  }
  Splitter splitter;
  for (const std::string& source : expressions) {
    if (source.size() > kMaxExpressionBytes) {
      return Invalid("a split expression of the tokenizer has ", source.size(), " bytes, at most ",
                     kMaxExpressionBytes, " are allowed");
    }
    int error = 0;
    PCRE2_SIZE at = 0;
    std::unique_ptr<pcre2_code, CodeFree> code(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(source.data()), source.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr));
    if (code == nullptr) {
      return Invalid("the split expression '", source.substr(0, 80),
                     "' of the tokenizer does not compile: ", MessageOf(error), " at byte ", at);
    }
    // Without JIT (a CPU or a system that forbids it) the same matches are found, more slowly.
    static_cast<void>(pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE));
    splitter.expressions_.push_back({source, std::move(code)});
  }
  return splitter;
}

Status Splitter::Split(std::string_view text, std::vector<std::string_view>& parts) const {
  if (text.empty()) return {};
  std::vector<std::string_view> current{text};
  std::vector<std::string_view> next;
  Matcher matcher(text.size());
  for (const Expression& expression : expressions_) {
    next.clear();
    for (const std::string_view part : current) {
      std::size_t cut = 0;   // everything before it is in `next`
      std::size_t from = 0;  // where to look
      while (from <= part.size()) {
        std::size_t begin = 0;
        std::size_t end = 0;
        RETURN_IF_ERROR(matcher.Find(expression, part, from, begin, end));
        if (begin == std::string_view::npos) break;
        if (begin > cut) next.push_back(part.substr(cut, begin - cut));
        if (end > begin) next.push_back(part.substr(begin, end - begin));
        cut = end;
        from = end;
        if (end == begin) {  // an empty match only cuts; look on behind the next character
          if (from == part.size()) break;
          ++from;
          while (from < part.size() && (static_cast<unsigned char>(part[from]) & 0xc0U) == 0x80U)
            ++from;
        }
      }
      if (cut < part.size()) next.push_back(part.substr(cut));
    }
    current.swap(next);
  }
  parts.insert(parts.end(), current.begin(), current.end());
  return {};
}

}  // namespace bramble::model::text
