#include "common/manual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace bramble {
namespace {

using ::testing::HasSubstr;

constexpr std::array<Setting, 3> kRows = {{
    {.name = "model",
     .type = SettingType::kText,
     .fallback = nullptr,
     .help = ".gguf or C:\\folder",
     .place = SettingPlace::kPositional,
     .required = true},
    {.name = "threads",
     .type = SettingType::kInteger,
     .fallback = "0",
     .help = "threads",
     .letter = 't'},
    {.name = "token", .type = SettingType::kSecret, .fallback = nullptr, .help = "a secret"},
}};
constexpr Command kCommand{.name = "try", .summary = "tries - and fails", .settings = kRows};

TEST(Manual, ADaemonsPageHasEverySettingAndItsFile) {
  const std::string page = ManualPage(kCommand, "/etc/try.yaml");
  for (const char* part :
       {".TH TRY 8", "try \\- tries \\- and fails",
        "\\fB\\-t\\fR, \\fB\\-\\-threads\\fR \\fIN\\fR\nthreads. Default: \\fB0\\fR.",
        "\\fB\\-\\-token\\-file\\fR \\fIFILE\\fR", "\\fB\\-\\-log\\-level\\fR", "/etc/try.yaml"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

TEST(Manual, TextIsNeverACommandOfRoff) {
  EXPECT_THAT(ManualPage(kCommand, "x"), HasSubstr("\n\\&.gguf or C:\\efolder. Required.\n"));
}

TEST(Manual, AProgramsPageHasEveryVerb) {
  const std::array<Command, 1> verbs = {kCommand};
  const std::string page = ManualPage("prog", "does things", verbs);
  EXPECT_THAT(page, HasSubstr(".TH PROG 1"));
  EXPECT_THAT(page, HasSubstr(".SS \"try\"\ntries \\- and fails.\n"));
  EXPECT_THAT(page, HasSubstr("\\fBtry\\fR \\fIMODEL\\fR [\\fIflags\\fR]"));
}

}  // namespace
}  // namespace bramble
