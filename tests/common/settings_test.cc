#include "common/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "common/files.h"

namespace bramble {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::array kRows = {
    Setting{.name = "model",
            .type = SettingType::kText,
            .fallback = nullptr,
            .help = "the model",
            .place = SettingPlace::kPositional,
            .required = true},
    Setting{.name = "words",
            .type = SettingType::kTexts,
            .fallback = nullptr,
            .help = "more words",
            .place = SettingPlace::kRest},
    Setting{.name = "memory",
            .type = SettingType::kSize,
            .fallback = "1G",
            .help = "memory to use",
            .letter = 'm'},
    Setting{.name = "workers",
            .type = SettingType::kInteger,
            .fallback = "1",
            .help = "how many",
            .letter = 'n',
            .minimum = 1,
            .maximum = 64},
    Setting{
        .name = "temperature", .type = SettingType::kNumber, .fallback = nullptr, .help = "heat"},
    Setting{.name = "lease", .type = SettingType::kDuration, .fallback = "10s", .help = "how long"},
    Setting{.name = "json",
            .type = SettingType::kSwitch,
            .fallback = nullptr,
            .help = "print JSON",
            .letter = 'j'},
    Setting{.name = "verbose",
            .type = SettingType::kSwitch,
            .fallback = nullptr,
            .help = "say more",
            .letter = 'v'},
    Setting{.name = "activations",
            .type = SettingType::kChoice,
            .fallback = "int8",
            .help = "form of activations",
            .choices = "int8|f32"},
    Setting{
        .name = "token", .type = SettingType::kSecret, .fallback = nullptr, .help = "join token"},
    Setting{.name = "stop", .type = SettingType::kTexts, .fallback = nullptr, .help = "stop texts"},
};
constexpr Command kCommand{.name = "bramble try", .summary = "Tries something", .settings = kRows};

using Variables = std::map<std::string, std::string>;

// A folder for files, and the parsing with chosen variables.
class SettingsTest : public ::testing::Test {
 protected:
  ParsedCommand Parse(const std::vector<std::string>& words, const Variables& variables = {},
                      const ParseOptions& options = {}) {
    return ParseCommand(kCommand, words, options, [&](const char* name) {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    });
  }

  // Requires that it runs.
  Settings Good(const std::vector<std::string>& words, const Variables& variables = {}) {
    ParsedCommand parsed = Parse(words, variables);
    EXPECT_FALSE(parsed.exit_code.has_value()) << parsed.output;
    return std::move(parsed.settings);
  }

  std::string Write(const std::string& name, const std::string& content) {
    std::string path = JoinPath(folder_.path(), name);
    EXPECT_TRUE(WriteFileAtomically(path, content).ok());
    return path;
  }

  TemporaryFolder folder_ = *TemporaryFolder::Make();
};

TEST_F(SettingsTest, AFlagBeatsAVariableBeatsTheFileBeatsTheDefault) {
  const std::string file = Write("c.yaml", "memory: 2G\n");
  struct Case {
    bool flag, variable, file;
    std::uint64_t gigabytes;
    std::string origin;
  };
  const Case cases[] = {
      {false, false, false, 1, "default"},
      {false, false, true, 2, "file " + file + " line 1"},
      {false, true, false, 3, "variable BRAMBLE_MEMORY"},
      {false, true, true, 3, "variable BRAMBLE_MEMORY"},
      {true, false, false, 4, "flag --memory"},
      {true, false, true, 4, "flag --memory"},
      {true, true, false, 4, "flag --memory"},
      {true, true, true, 4, "flag --memory"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> words = {"m"};
    Variables variables;
    if (c.flag) words.insert(words.end(), {"--memory", "4G"});
    if (c.variable) variables["BRAMBLE_MEMORY"] = "3G";
    if (c.file) variables["BRAMBLE_CONFIG"] = file;
    const Settings settings = Good(words, variables);
    EXPECT_EQ(settings.Size("memory"), c.gigabytes << 30U) << c.origin;
    EXPECT_EQ(settings.Origin("memory"), c.origin);
  }
}

TEST_F(SettingsTest, ReadsEveryTypeFromEverySource) {
  const std::string token = Write("token", "BR1 secret\n");
  const Variables variables = {
      {"BRAMBLE_MEMORY", "512M"},    {"BRAMBLE_WORKERS", "3"}, {"BRAMBLE_TEMPERATURE", "0.5"},
      {"BRAMBLE_LEASE", "250ms"},    {"BRAMBLE_JSON", "true"}, {"BRAMBLE_ACTIVATIONS", "f32"},
      {"BRAMBLE_TOKEN_FILE", token}, {"BRAMBLE_STOP", "a,b"},  {"BRAMBLE_MODEL", "x.gguf"}};
  const std::string file = Write(
      "c.yaml",
      "memory: 512M\nworkers: 3\ntemperature: 0.5\nlease: 250ms\njson: true\nactivations: f32\n"
      "token-file: " +
          token + "\nstop: [a, b]\nmodel: x.gguf\n");
  const std::vector<std::string> flags = {"x.gguf",
                                          "--memory=512M",
                                          "--workers",
                                          "3",
                                          "--temperature=0.5",
                                          "--lease",
                                          "250ms",
                                          "--json",
                                          "--activations",
                                          "f32",
                                          "--token-file",
                                          token,
                                          "--stop",
                                          "a",
                                          "--stop=b"};
  for (const Settings& settings : {Good(flags), Good({}, variables), Good({"--config", file})}) {
    EXPECT_EQ(settings.Text("model"), "x.gguf");
    EXPECT_EQ(settings.Size("memory"), 512U << 20U);
    EXPECT_EQ(settings.Integer("workers"), 3);
    EXPECT_EQ(settings.Number("temperature"), 0.5);
    EXPECT_EQ(settings.Duration("lease"), std::chrono::milliseconds(250));
    EXPECT_TRUE(settings.Switch("json"));
    EXPECT_EQ(settings.Text("activations"), "f32");
    EXPECT_EQ(settings.Text("token"), "BR1 secret");
    EXPECT_THAT(settings.Texts("stop"), ElementsAre("a", "b"));
  }
}

TEST_F(SettingsTest, ASettingThatNobodySetIsNotSet) {
  const Settings settings = Good({"m"});
  EXPECT_FALSE(settings.Has("temperature"));
  EXPECT_FALSE(settings.Switch("json"));
  EXPECT_THAT(settings.Texts("stop"), IsEmpty());
  EXPECT_EQ(settings.TextOr("token", "none"), "none");
  EXPECT_EQ(settings.Origin("temperature"), "not set");
}

TEST_F(SettingsTest, TakesWordsApartAsPeopleWriteThem) {
  EXPECT_EQ(Good({"m", "-m", "2G"}).Size("memory"), 2ULL << 30U);
  EXPECT_EQ(Good({"m", "-m2G"}).Size("memory"), 2ULL << 30U);
  EXPECT_TRUE(Good({"-jv", "m"}).Switch("verbose"));
  EXPECT_EQ(Good({"-jn3", "m"}).Integer("workers"), 3);
  EXPECT_FALSE(Good({"m", "--json", "--no-json"}).Switch("json"));
  EXPECT_FALSE(Good({"m", "--json=false"}).Switch("json"));
  EXPECT_EQ(Good({"m", "--workers", "2", "--workers", "5"}).Integer("workers"), 5);
  EXPECT_EQ(Good({"m", "--temperature", "-1.5"}).Number("temperature"), -1.5);
  EXPECT_THAT(Good({"m", "a", "-5", "b"}).Texts("words"), ElementsAre("a", "-5", "b"));
  EXPECT_THAT(Good({"--", "m", "--json"}).Texts("words"), ElementsAre("--json"));
  EXPECT_EQ(Good({"-"}).Text("model"), "-");
}

TEST_F(SettingsTest, DoesNotTakeATextApart) {
  const std::string prompt = "[INST] a, b [/INST]";
  EXPECT_THAT(Good({"m", "--stop", prompt, prompt, ""}).Texts("stop"), ElementsAre(prompt));
  EXPECT_THAT(Good({"m", prompt, ""}).Texts("words"), ElementsAre(prompt, ""));
  EXPECT_EQ(Good({"--", prompt}).Text("model"), prompt);
}

TEST_F(SettingsTest, SaysWhatIsWrongWithTheWords) {
  struct Case {
    std::vector<std::string> words;
    const char* why;
  };
  const Case cases[] = {
      {{"m", "--memry", "4G"}, "unknown flag '--memry'; did you mean --memory?"},
      {{"m", "--xyzzy"}, "unknown flag '--xyzzy'\n"},
      {{"m", "--model", "x"}, "unknown flag '--model'"},
      {{"m", "-x"}, "unknown flag '-x'"},
      {{"m", "--memory"}, "--memory needs a value: SIZE"},
      {{"m", "--memory", "--json"}, "--memory needs a value"},
      {{"m", "--memory", "4X"}, "flag --memory '4X' is not a size"},
      {{"m", "--workers", "0"}, "flag --workers is 0, less than 1"},
      {{"m", "--workers", "65"}, "more than 64"},
      {{"m", "--workers", "3.5"}, "not a whole number"},
      {{"m", "--workers", "99999999999999999999"}, "not a whole number"},
      {{"m", "--temperature", "nan"}, "not a number"},
      {{"m", "--lease", "10"}, "not a time"},
      {{"m", "--activations", "int4"}, "none of int8|f32"},
      {{"m", "--json=maybe"}, "neither true nor false"},
      {{"m", "--no-json=true"}, "no value belongs to"},
      {{"m", "--token", "secret"}, "give --token-file FILE"},
      {{"m", "--token-file", "/nowhere"}, "/nowhere"},
      {{"m", "--\x1b[2J"}, "\\x1b[2J"},
      {{}, "the argument MODEL is missing: the model"},
  };
  for (const Case& c : cases) {
    const ParsedCommand parsed = Parse(c.words);
    EXPECT_EQ(parsed.exit_code, 2) << c.why;
    EXPECT_THAT(parsed.output, HasSubstr(c.why));
    EXPECT_THAT(parsed.output, HasSubstr("bramble try"));
  }
}

TEST_F(SettingsTest, NamesAVariableThatIsWrongAndEndsWithTheCodeForBadConfiguration) {
  ParseOptions options;
  options.bad_configuration_code = 78;
  const ParsedCommand parsed = Parse({"m"}, {{"BRAMBLE_MEMORY", "lots"}}, options);
  EXPECT_EQ(parsed.exit_code, 78);
  EXPECT_THAT(parsed.output, HasSubstr("variable BRAMBLE_MEMORY 'lots' is not a size"));
  EXPECT_EQ(Parse({"m", "--memory", "lots"}, {}, options).exit_code, 2);
  EXPECT_EQ(Parse({}, {}, options).exit_code, 78);
}

TEST_F(SettingsTest, AnEmptyVariableIsNotSet) {
  EXPECT_EQ(Good({"m"}, {{"BRAMBLE_MEMORY", ""}}).Size("memory"), 1U << 30U);
}

TEST_F(SettingsTest, NamesTheLineOfTheFileThatIsWrong) {
  struct Case {
    const char* content;
    const char* why;
  };
  const Case cases[] = {
      {"memory: 1G\nmemry: 2G\n", ":2: unknown key 'memry'; did you mean memory?"},
      {"# a\n\nmemory: 1G\nmemory: 2G\n", ":4: the key 'memory' stands here a second time"},
      {"memory:\n", ":1: the key 'memory' has no plain value"},
      {"memory: {a: 1}\n", ":1: the key 'memory' has no plain value"},
      {"memory: [1G]\n", ":1: the key 'memory' has no plain value"},
      {"stop: {a: 1}\n", ":1: the key 'stop' has no plain value and no list"},
      {"stop:\n- [a]\n", ":2: a part of 'stop'"},
      {"workers: many\n", "line 1 'many' is not a whole number"},
      {"- memory\n", ":1: the settings are not lines of the form"},
      {"memory: 1G\n workers: 2\n", ":2: not YAML"},
      {"memory: 1G\n---\nworkers: 2\n", "more than one YAML document"},
      {"token: secret\n", ":1: unknown key 'token'"},
      {"config: x\n", ":1: unknown key 'config'"},
      {"words: [a]\n", ":1: unknown key 'words'"},
      {"[a, b]: x\n", ":1: a key that is not a plain word"},
      {"model: \"a\\0b\"\n", ":1: a zero byte"},
      {"\"\\e[2J\": x\n", "\\x1b[2J"},
  };
  for (const Case& c : cases) {
    const ParsedCommand parsed = Parse({"m", "--config", Write("c.yaml", c.content)});
    EXPECT_EQ(parsed.exit_code, 2) << c.content;
    EXPECT_THAT(parsed.output, HasSubstr(c.why));
    EXPECT_THAT(parsed.output, HasSubstr("c.yaml"));
  }
}

TEST_F(SettingsTest, AnEmptyFileSetsNothing) {
  for (const char* content : {"", "\n", "# nothing\n", "---\n"}) {
    EXPECT_EQ(Good({"m", "--config", Write("c.yaml", content)}).Origin("memory"), "default");
  }
}

TEST_F(SettingsTest, ADeepOrHugeFileIsAnError) {
  EXPECT_EQ(Parse({"m", "--config", Write("c.yaml", std::string(100000, '['))}).exit_code, 2);
  EXPECT_EQ(Parse({"m", "--config", Write("c.yaml", std::string(2 << 20, '#'))}).exit_code, 2);
}

TEST_F(SettingsTest, ANamedFileMustBeThereAndTheDefaultFileMayBeMissing) {
  EXPECT_EQ(Parse({"m", "--config", "/nowhere.yaml"}).exit_code, 2);
  ParseOptions options;
  options.default_file = "/nowhere.yaml";
  EXPECT_FALSE(Parse({"m"}, {}, options).exit_code.has_value());
  const std::string file = Write("c.yaml", "workers: 7\n");
  options.default_file = file.c_str();
  EXPECT_EQ(Parse({"m"}, {}, options).settings.Integer("workers"), 7);
}

TEST_F(SettingsTest, AFileMayHoldTheKeysOfTheOtherVerbs) {
  static constexpr std::array kOtherRows = {
      Setting{.name = "listen", .type = SettingType::kText, .fallback = nullptr, .help = "where"}};
  const std::array family = {kCommand,
                             Command{.name = "serve", .summary = "Serves", .settings = kOtherRows}};
  ParseOptions options;
  options.family = family;
  const std::string file = Write("c.yaml", "listen: 127.0.0.1:0\nworkers: 2\n");
  const ParsedCommand parsed = Parse({"m", "--config", file}, {}, options);
  ASSERT_FALSE(parsed.exit_code.has_value()) << parsed.output;
  EXPECT_EQ(parsed.settings.Integer("workers"), 2);
  EXPECT_EQ(Parse({"m", "--config", file}).exit_code, 2);
}

TEST_F(SettingsTest, PrintsEverySettingWithItsOriginAndCanReadThatAgain) {
  const ParsedCommand printed =
      Parse({"m", "--print-config", "--memory", "4G", "--stop", "a \"b\"\n", "--stop", "c"},
            {{"BRAMBLE_TOKEN", "hush"}});
  EXPECT_EQ(printed.exit_code, 0);
  EXPECT_THAT(printed.output, HasSubstr("memory: 4G  # flag --memory\n"));
  EXPECT_THAT(printed.output, HasSubstr("lease: 10s  # default\n"));
  EXPECT_THAT(printed.output, HasSubstr("# temperature:  # not set\n"));
  EXPECT_THAT(printed.output, HasSubstr("# token-file: (hidden)  # variable BRAMBLE_TOKEN\n"));
  EXPECT_THAT(printed.output, Not(HasSubstr("hush")));
  const Settings again = Good({"--config", Write("c.yaml", printed.output)});
  ASSERT_TRUE(again.Has("model")) << printed.output;
  EXPECT_EQ(again.Text("model"), "m");
  EXPECT_EQ(again.Size("memory"), 4ULL << 30U);
  EXPECT_THAT(again.Texts("stop"), ElementsAre("a \"b\"\n", "c"));
}

TEST_F(SettingsTest, AnEmptyListIsAList) {
  const std::string file = Write("c.yaml", "stop: []\n");
  EXPECT_TRUE(Good({"m", "--config", file}).Has("stop"));
  EXPECT_THAT(Parse({"m", "--config", file, "--print-config"}).output,
              HasSubstr("stop: []  # file "));
}

TEST_F(SettingsTest, AnEmptySecretIsAnError) {
  EXPECT_THAT(Parse({"m", "--token-file", Write("token", "\n")}).output, HasSubstr("is empty"));
}

TEST_F(SettingsTest, HelpNamesEveryRow) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"--help"}, {"m", "-h"}}) {
    const ParsedCommand help = Parse(words);
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.output, HasSubstr("Usage: bramble try MODEL [WORDS...] [flags]"));
    for (const Setting& row : kRows) EXPECT_THAT(help.output, HasSubstr(row.help));
    EXPECT_THAT(help.output, HasSubstr("-m, --memory SIZE"));
    EXPECT_THAT(help.output, HasSubstr("--token-file FILE"));
    EXPECT_THAT(help.output, HasSubstr("--activations int8|f32"));
    EXPECT_THAT(help.output, HasSubstr("[int8]"));
    EXPECT_THAT(help.output, HasSubstr("--config FILE"));
  }
}

TEST_F(SettingsTest, VersionIsWhatTheProgramSays) {
  ParseOptions options;
  options.version = "1.2.3";
  EXPECT_EQ(Parse({"--version"}, {}, options).output, "bramble try 1.2.3\n");
}

class Verbs : public ::testing::Test {
 protected:
  const std::array<Command, 4> commands_ = {
      {{.name = "run", .summary = "runs", .settings = kRows},
       {.name = "token", .summary = "tokens", .settings = {}},
       {.name = "token create", .summary = "makes one", .settings = kRows},
       {.name = "token list", .summary = "shows them", .settings = {}}}};
};

TEST_F(Verbs, AreFoundByTheirLongestName) {
  const auto find = [&](const std::vector<std::string>& words, std::size_t wanted) {
    std::size_t used = 0;
    const Command* found = FindCommand(commands_, words, &used);
    EXPECT_EQ(used, wanted);
    return found == nullptr ? std::string() : std::string(found->name);
  };
  EXPECT_EQ(find({"run", "x"}, 1), "run");
  EXPECT_EQ(find({"token", "create", "--uses", "2"}, 2), "token create");
  EXPECT_EQ(find({"token", "creat"}, 1), "token");
  EXPECT_EQ(find({"walk"}, 0), "");
  EXPECT_EQ(find({}, 0), "");
}

TEST_F(Verbs, AreListedWithTheirSummaries) {
  const std::string help = VerbsHelp("bramble", "pools computers", commands_);
  for (const Command& command : commands_) {
    EXPECT_THAT(help, HasSubstr(command.name));
    EXPECT_THAT(help, HasSubstr(command.summary));
  }
}

TEST_F(Verbs, CompleteAsOneTypes) {
  const auto complete = [&](const std::vector<std::string>& words) {
    return CompletionWords(commands_, words);
  };
  EXPECT_THAT(complete({}), ElementsAre("run", "token"));
  EXPECT_THAT(complete({"t"}), ElementsAre("token"));
  EXPECT_THAT(complete({"token", "c"}), ElementsAre("create"));
  EXPECT_THAT(complete({"run", "--mem"}), ElementsAre("--memory"));
  EXPECT_THAT(complete({"run", "m", "--"}), Contains("--token-file"));
  EXPECT_THAT(complete({"run", "--activations", ""}), ElementsAre("f32", "int8"));
  EXPECT_THAT(complete({"run", "--memory", ""}), IsEmpty());
  EXPECT_THAT(complete({"walk", ""}), IsEmpty());
}

TEST(SettingValues, SizesArePowersOf1024) {
  struct Case {
    const char* text;
    std::uint64_t bytes;
  };
  const Case good[] = {{"0", 0},
                       {"1", 1},
                       {"512", 512},
                       {"1k", 1024},
                       {"512M", 512 << 20},
                       {"4G", 4ULL << 30},
                       {"1.5GiB", 3ULL << 29},
                       {"2gb", 2ULL << 30},
                       {"1T", 1ULL << 40},
                       {"8192T", 1ULL << 53}};
  for (const Case& c : good) EXPECT_EQ(*ParseSize(c.text, "x"), c.bytes) << c.text;
  for (const char* bad : {"", "-1", "G", "4 G", "4X", "1.3", "nan", "inf", "1e3", "8193T",
                          "99999999999999999999", "0x10"}) {
    EXPECT_EQ(ParseSize(bad, "x").status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(SettingValues, TimesHaveAUnit) {
  using std::chrono::milliseconds;
  EXPECT_EQ(*ParseDuration("250ms", "x"), milliseconds(250));
  EXPECT_EQ(*ParseDuration("1.5s", "x"), milliseconds(1500));
  EXPECT_EQ(*ParseDuration("24h", "x"), std::chrono::hours(24));
  EXPECT_EQ(*ParseDuration("7d", "x"), std::chrono::hours(24 * 7));
  EXPECT_EQ(*ParseDuration("0", "x"), milliseconds(0));
  for (const char* bad : {"", "10", "-1s", "s", "1 s", "0.0001s", "1000000d", "infs"}) {
    EXPECT_EQ(ParseDuration(bad, "x").status().code(), Code::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace bramble
