#include "model/families/pooling.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "model/files/json.h"
#include "model/files/quote.h"

namespace bramble::model::families {
namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 20;
constexpr std::size_t kMostValues = 1024;
constexpr float kSmallestLength = 1e-12F;  // of torch.nn.functional.normalize

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

// One way to pool under the names of the two forms of 1_Pooling/config.json.
struct Mode {
  const char* flag;  // "pooling_mode_cls_token": true
  const char* name;  // "pooling_mode": "cls"
  bool run;
  Pooling::Kind kind;
};

constexpr Mode kModes[] = {
    {"pooling_mode_mean_tokens", "mean", true, Pooling::Kind::kMean},
    {"pooling_mode_cls_token", "cls", true, Pooling::Kind::kFirst},
    {"pooling_mode_max_tokens", "max", true, Pooling::Kind::kMax},
    {"pooling_mode_lasttoken", "lasttoken", true, Pooling::Kind::kLast},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", false, {}},
    {"pooling_mode_weightedmean_tokens", "weightedmean", false, {}},
};

bool Asks(const files::Metadata& config, const Mode& mode) {
  if (const auto* name = files::FindValue(config, "pooling_mode")) {
    return name->Text().value_or("") == mode.name;
  }
  const auto* flag = files::FindValue(config, mode.flag);
  return flag != nullptr && flag->Flag().value_or(false);
}

Status ReadKind(const std::string& path, Pooling* pooling) {
  ASSIGN_OR_RETURN(const std::string text, files::ReadText(path, kMostBytes));
  auto config = files::ReadJson(text, kMostValues);
  if (!config.ok()) return config.status().WithContext(files::QuotePath(path));
  int asked = 0;
  for (const Mode& mode : kModes) {
    if (!Asks(*config, mode)) continue;
    if (!mode.run || ++asked > 1) {
      return Unimplemented(files::QuotePath(path), ": ", mode.flag,
                           mode.run ? " beside another way to pool" : "", " is not run");
    }
    pooling->kind = mode.kind;
  }
  if (asked == 1) return {};
  return Invalid(files::QuotePath(path), " names no way to pool");
}

// The modules behind the transformer and the pooling.
Status ReadModules(const std::string& path, Pooling* pooling) {
  ASSIGN_OR_RETURN(const std::string text, files::ReadText(path, kMostBytes));
  auto types = files::ReadJsonTexts(text, "type", kMostValues);
  if (!types.ok()) return types.status().WithContext(files::QuotePath(path));
  pooling->normalized = false;
  for (const std::string& type : *types) {
    if (type.ends_with(".Normalize")) {
      pooling->normalized = true;
    } else if (!type.ends_with(".Transformer") && !type.ends_with(".Pooling")) {
      return Unimplemented(files::QuotePath(path), ": a module of the type ", files::Quote(type));
    }
  }
  return {};
}

}  // namespace

Result<Pooling> ReadPooling(const files::ModelFiles& files) {
  Pooling pooling;
  if (files.dialect != files::Dialect::kHuggingFace) return pooling;
  const std::string modules = files.path + "/modules.json";
  const std::string config = files.path + "/1_Pooling/config.json";
  if (Exists(modules)) RETURN_IF_ERROR(ReadModules(modules, &pooling));
  if (Exists(config)) RETURN_IF_ERROR(ReadKind(config, &pooling));
  return pooling;
}

Value AddPooling(ProgramBuilder* builder, const Pooling& pooling, Value x) {
  Value y;
  switch (pooling.kind) {
    case Pooling::Kind::kMean:
      y = builder->Pool("pool", x, v1::Pool::KIND_MEAN);
      break;
    case Pooling::Kind::kMax:
      y = builder->Pool("pool", x, v1::Pool::KIND_MAX);
      break;
    case Pooling::Kind::kFirst:
      y = builder->GatherOfSequence("pool", x, v1::Gather::KIND_FIRST);
      break;
    default:
      y = builder->GatherOfSequence("pool", x, v1::Gather::KIND_LAST);
      break;
  }
  return pooling.normalized ? builder->L2Norm("length", y, kSmallestLength) : y;
}

}  // namespace bramble::model::families
