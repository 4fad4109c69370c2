// bramble inspect: what is in a model file.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/model_store.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/verbs.h"
#include "kernels/encodings/encoding.h"
#include "model/model.h"
#include "proto/program/print.h"

namespace bramble::cli {
namespace {

using Json = nlohmann::ordered_json;

const char* EncodingName(v1::Encoding encoding) {
  const kernels::EncodingInfo* info =
      kernels::FindEncoding(static_cast<kernels::Encoding>(encoding));
  return info == nullptr ? "unknown" : info->name;
}

Json FactsJson(const model::ModelFacts& facts) {
  Json json{{"path", facts.path},
            {"container", facts.container},
            {"family", facts.family},
            {"name", facts.name},
            {"parameters", facts.parameters},
            {"tensors", facts.tensors},
            {"bytes", facts.bytes},
            {"layers", facts.layers},
            {"context_length", facts.context_length},
            {"vocabulary_size", facts.vocabulary_size},
            {"tokenizer", facts.tokenizer},
            {"chat_template", facts.chat_template},
            {"encodings", Json::array()},
            {"notes", facts.notes}};
  for (const model::EncodingUse& use : facts.encodings) {
    json["encodings"].push_back({{"encoding", EncodingName(use.encoding)},
                                 {"tensors", use.tensors},
                                 {"values", use.values},
                                 {"bytes", use.bytes}});
  }
  return json;
}

void PrintFacts(const model::ModelFacts& facts) {
  std::printf("%s\n", facts.path.c_str());
  const auto line = [](const char* what, const std::string& value) {
    std::printf("  %-14s %s\n", what, value.c_str());
  };
  line("name", facts.name);
  line("container", facts.container);
  line("family", facts.family);
  line("parameters", std::to_string(facts.parameters));
  line("size", HumanBytes(facts.bytes) + " in " + std::to_string(facts.tensors) + " tensors");
  line("layers", std::to_string(facts.layers));
  line("context", std::to_string(facts.context_length));
  line("vocabulary", std::to_string(facts.vocabulary_size));
  line("tokenizer", facts.tokenizer.empty() ? "none" : facts.tokenizer);
  line("chat template", facts.chat_template ? "yes" : "none");
  Table table({"  ENCODING", "TENSORS", "VALUES", "SIZE"});
  for (const model::EncodingUse& use : facts.encodings) {
    table.AddRow({std::string("  ") + EncodingName(use.encoding), std::to_string(use.tensors),
                  std::to_string(use.values), HumanBytes(use.bytes)});
  }
  std::fputs(table.Text().c_str(), stdout);
  for (const std::string& note : facts.notes) std::printf("  note: %s\n", note.c_str());
}

Result<std::string> ProgramText(const std::string& path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<model::Model> model, model::Model::Open(path, {}));
  return program::PrintProgram(model->program());
}

}  // namespace

int RunInspect(const Settings& settings) {
  const auto path = ModelStore(ModelStore::DefaultFolder()).Locate(settings.Text("model"));
  if (!path.ok()) return Fail(path.status());
  if (settings.Switch("program")) {
    const auto text = ProgramText(*path);
    if (!text.ok()) return Fail(text.status());
    std::fputs(text->c_str(), stdout);
    return 0;
  }
  const auto facts = model::Model::Inspect(*path);
  if (!facts.ok()) return Fail(facts.status());
  if (settings.Switch("json")) {
    std::printf("%s\n", FactsJson(*facts).dump().c_str());
  } else {
    PrintFacts(*facts);
  }
  return 0;
}

}  // namespace bramble::cli
