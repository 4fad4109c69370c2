#include "model/families/rope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/model/files/file_helpers.h"

namespace bramble::model::families {
namespace {

using ::testing::HasSubstr;

void ExpectNear(const std::vector<float>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i] / expected[i], 1, 1e-6) << i;
}

// The expected numbers were computed with NumPy by the formulas of transformers'
// modeling_rope_utils.py, in float64.
TEST(RopeFrequencies, FollowEachScaling) {
  ExpectNear(RopeFrequencies(10000, 8, {}), {1, 0.1, 0.01, 0.001});
  RopeScaling linear;
  linear.kind = RopeScaling::Kind::kLinear;
  linear.factor = 4;
  ExpectNear(RopeFrequencies(10000, 8, linear), {0.25, 0.025, 0.0025, 0.00025});
  RopeScaling llama3;
  llama3.kind = RopeScaling::Kind::kLlama3;
  llama3.factor = 8;
  llama3.low_frequency_factor = 1;
  llama3.high_frequency_factor = 4;
  llama3.original_positions = 64;
  ExpectNear(RopeFrequencies(500000, 16, llama3),
             {1, 7.940300918e-02, 4.700753866e-03, 9.115830922e-04, 1.767766953e-04,
              3.428102196e-05, 6.647869871e-06, 1.289173172e-06});
  llama3.original_positions = 150;  // the third is now between the two factors
  const double smooth = (150 * 0.01 / (2 * 3.14159265358979) - 0.1) / (4 - 0.1);
  llama3.low_frequency_factor = 0.1;
  ExpectNear({RopeFrequencies(10000, 8, llama3)[2]}, {(1 - smooth) * 0.01 / 8 + smooth * 0.01});
  RopeScaling yarn;
  yarn.kind = RopeScaling::Kind::kYarn;
  yarn.factor = 4;
  yarn.original_positions = 64;
  ExpectNear(RopeFrequencies(10000, 16, yarn), {1, 2.371708245e-01, 5e-02, 7.905694150e-03, 2.5e-03,
                                                7.905694150e-04, 2.5e-04, 7.905694150e-05});
  yarn.original_positions = 32768;
  const auto many = RopeFrequencies(1000000, 128, yarn);
  ExpectNear(
      {many[0], many[20], many[25], many[30], many[35], many[63]},
      {1, 1.333521432e-02, 4.131738023e-03, 1.064360981e-03, 2.462584069e-04, 3.102344402e-07});
}

struct Read {
  const char* config;
  double second;  // frequency of pair 1 of 4
  double magnitude;
  std::uint32_t most_positions;
};

TEST(Rotation, IsReadFromEveryFormOfConfigJson) {
  const Read reads[] = {
      {R"({})", 0.1, 1, 0},
      {R"({"rope_theta":1e8})", 0.01, 1, 0},
      {R"({"rope_theta":1e8,"rope_scaling":null})", 0.01, 1, 0},
      {R"({"rope_scaling":{"type":"linear","factor":2}})", 0.05, 1, 0},
      {R"({"rope_scaling":{"rope_type":"linear","type":"other","factor":2}})", 0.05, 1, 0},
      {R"({"rope_scaling":{"rope_type":"default"}})", 0.1, 1, 0},
      {R"({"rope_scaling":{"type":"dynamic","factor":2}})", 0.1, 1, 128},
      {R"({"rope_scaling":{"type":"yarn","factor":4}})", 0.0625, 1.138629436, 0},
      {R"({"rope_scaling":{"type":"yarn","factor":1,"attention_factor":0.5}})", 0.1, 0.5, 0},
      {R"({"rope_scaling":{"type":"yarn","factor":1,"mscale":2,"mscale_all_dim":1}})", 0.1, 1, 0},
      {R"({"rope_parameters":{"rope_type":"linear","rope_theta":1e8,"factor":10}})", 0.001, 1, 0},
      {R"({"rope_parameters":{"full_attention":{"rope_type":"linear","rope_theta":1e8,"factor":10},)"
       R"("sliding_attention":{"rope_type":"default","rope_theta":1e4}}})",
       0.001, 1, 0},
  };
  for (const Read& read : reads) {
    const files::ModelFiles files = files::FilesOfHf(read.config, {});
    Fields fields(files, "", "");
    const Rotation rotation = ReadRotation(&fields, "full_attention", 8, 10000, 64);
    ASSERT_TRUE(fields.status().ok()) << read.config << ": " << fields.status().message();
    EXPECT_NEAR(rotation.frequencies[1] / read.second, 1, 1e-6) << read.config;
    EXPECT_NEAR(rotation.magnitude, read.magnitude, 1e-6) << read.config;
    EXPECT_EQ(rotation.most_positions, read.most_positions) << read.config;
  }
}

// The magnitude by the paper (https://arxiv.org/abs/2402.13753): sqrt(1 + ln(stretch) /
// ln(original)).
TEST(Rotation, IsAnotherInLongSequences) {
  const char* const configs[] = {
      R"({"rope_scaling":{"type":"longrope","short_factor":[1,2,1,1],"long_factor":[1,4,1,1]},)"
      R"("original_max_position_embeddings":16})",
      R"({"rope_parameters":{"rope_type":"longrope","short_factor":[1,2,1,1],)"
      R"("long_factor":[1,4,1,1],"original_max_position_embeddings":16}})"};
  for (const char* config : configs) {
    const files::ModelFiles files = files::FilesOfHf(config, {});
    Fields fields(files, "", "");
    const Rotation rotation = ReadRotation(&fields, "full_attention", 8, 10000, 64);
    ASSERT_TRUE(fields.status().ok()) << config << ": " << fields.status().message();
    EXPECT_EQ(rotation.long_from, 16u);
    EXPECT_NEAR(rotation.frequencies[1], 0.05, 1e-8);
    ASSERT_EQ(rotation.long_frequencies.size(), 4u);
    EXPECT_NEAR(rotation.long_frequencies[1], 0.025, 1e-8);
    EXPECT_NEAR(rotation.magnitude, std::sqrt(1.5), 1e-6);
  }
}

// At 96 positions s = 2 * 96 / 64 - 1 = 2: frequency i becomes smaller by 2^(-2i / 6).
TEST(Rotation, GrowsWithTheLength) {
  const files::ModelFiles files =
      files::FilesOfHf(R"({"rope_scaling":{"type":"dynamic","factor":2}})", {});
  Fields fields(files, "", "");
  const Rotation rotation = ReadRotation(&fields, "full_attention", 8, 10000, 64);
  ASSERT_TRUE(fields.status().ok()) << fields.status().message();
  EXPECT_EQ(rotation.long_from, 64u);
  EXPECT_EQ(rotation.most_positions, 128u);
  ASSERT_EQ(rotation.long_frequencies.size(), 64u * 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const double grown =
        std::pow(10, -static_cast<double>(i)) * std::pow(2, -2.0 * static_cast<double>(i) / 6);
    EXPECT_NEAR(rotation.long_frequencies[(96 - 65) * 4 + i] / grown, 1, 1e-6) << i;
  }
}

TEST(Rotation, IsRefusedWithWrongNumbers) {
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"rope_theta":0})", "'rope_theta' is 0, and must be a number above 1"},
      {R"({"rope_theta":1e300})", "must be a number above 1 to 1e+15"},
      {R"({"rope_theta":"x"})", "'rope_theta' is 'x'"},
      {R"({"rope_scaling":{"type":"weird"}})", "rotary scaling 'weird'; known: linear"},
      {R"({"rope_scaling":{"type":"longrope"}})", "'rope_scaling.short_factor' is missing"},
      {R"({"rope_scaling":{"type":"longrope","short_factor":[1,1,1],"long_factor":[1,1,1,1]}})",
       "LongRoPE's factors must be 4 numbers above 0"},
      {R"({"rope_scaling":{"type":"longrope","short_factor":[1,1,1,0],"long_factor":[1,1,1,1]}})",
       "LongRoPE's factors must be 4 numbers above 0"},
      {R"({"rope_scaling":{"type":"longrope","short_factor":"x","long_factor":[1,1,1,1]}})",
       "'rope_scaling.short_factor' must be a list of numbers"},
      {R"({"rope_scaling":{"type":3}})", "'rope_scaling.type' is 3, and must be a text"},
      {R"({"rope_scaling":{"type":"longrope","short_mscale":1.5,"long_mscale":2}})",
       "'rope_scaling.short_mscale': it must be the same as long_mscale"},
      {R"({"rope_scaling":{"type":"dynamic"}})", "'rope_scaling.factor' is missing"},
      {R"({"rope_scaling":{"type":"linear"}})", "'rope_scaling.factor' is missing"},
      {R"({"rope_scaling":{"type":"linear","factor":0}})", "'rope_scaling.factor' is 0"},
      {R"({"rope_scaling":{"type":"linear","factor":-1}})", "'rope_scaling.factor' is -1"},
      {R"({"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4,)"
       R"("original_max_position_embeddings":64}})",
       "high_freq_factor must be above"},
      {R"({"rope_scaling":{"type":"llama3","factor":8}})", "low_freq_factor' is missing"},
  };
  for (const auto& [config, message] : wrong) {
    const files::ModelFiles files = files::FilesOfHf(config, {});
    Fields fields(files, "", "");
    ReadRotation(&fields, "full_attention", 8, 10000, 64);
    EXPECT_THAT(fields.status().message(), HasSubstr(message)) << config;
  }
}

}  // namespace
}  // namespace bramble::model::families
