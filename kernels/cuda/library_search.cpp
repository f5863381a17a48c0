#include "kernels/cuda/library_search.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>

namespace echodiff::cuda {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> words_of(const char* variable) {
  const char* const value = std::getenv(variable);
  std::istringstream stream(value != nullptr ? value : "");
  std::vector<std::string> words;
  for (std::string word; std::getline(stream, word, ':');)
    if (!word.empty()) words.push_back(word);
  return words;
}

// What a folder holds, in the order of names; nothing where it can't be read.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code ignored;
  std::vector<fs::path> entries;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end; it.increment(ignored))
    entries.push_back(it->path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

class Folders {
 public:
  explicit Folders(std::string root) : root_(std::move(root)) {}

  void add(const fs::path& folder) {
    std::error_code ignored;
    const std::string text = folder.string();
    if (fs::is_directory(folder, ignored) && std::find(found_.begin(), found_.end(), text) == found_.end())
      found_.push_back(text);
  }
  void add_toolkit(const fs::path& toolkit) {
    add(toolkit / "lib64");
    add(toolkit / "targets/x86_64-linux/lib");
    add(toolkit / "lib");
  }
  // Of wheels: site-packages/nvidia/cudnn/lib, nvidia/cu13/lib and the like.
  void add_packages(const fs::path& packages) {
    for (const fs::path& wheel : entries_of(packages / "nvidia")) add(wheel / "lib");
  }
  // prefix/lib/python3.x/{site,dist}-packages
  void add_python(const fs::path& prefix) {
    for (const fs::path& python : entries_of(prefix / "lib")) {
      if (!python.filename().string().starts_with("python3")) continue;
      add_packages(python / "site-packages");
      add_packages(python / "dist-packages");
    }
  }
  fs::path at(const std::string& path) const { return root_ + path; }
  std::vector<std::string> take() { return std::move(found_); }

 private:
  std::string root_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> library_folders(const std::string& root) {
  Folders folders(root);
  const std::vector<std::string> chosen = words_of("ECHODIFF_CUDA_LIBRARIES");
  for (const std::string& each : chosen) folders.add(folders.at(each));
  if (!chosen.empty()) return folders.take();
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    for (const std::string& each : words_of(variable)) folders.add_toolkit(folders.at(each));
  folders.add_toolkit(folders.at("/usr/local/cuda"));
  for (const fs::path& each : entries_of(folders.at("/usr/local")))
    if (each.filename().string().starts_with("cuda-")) folders.add_toolkit(each);
  folders.add_toolkit(folders.at("/opt/cuda"));
  folders.add(folders.at("/usr/lib/x86_64-linux-gnu"));
  folders.add(folders.at("/usr/lib64"));
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    for (const std::string& each : words_of(variable)) folders.add_python(folders.at(each));
  for (const std::string& each : words_of("PATH"))
    folders.add_python(folders.at(fs::path(each).parent_path().string()));
  for (const std::string& each : words_of("HOME")) folders.add_python(folders.at(each + "/.local"));
  for (const char* prefix : {"/usr/local", "/usr"}) folders.add_python(folders.at(prefix));
  for (const fs::path& each : entries_of(folders.at("/usr/lib/python3"))) folders.add_packages(each);
  return folders.take();
}

std::string find_library(const std::vector<std::string>& folders, const std::string& file) {
  std::error_code ignored;
  for (const std::string& folder : folders)
    if (const fs::path path = fs::path(folder) / file; fs::exists(path, ignored)) return path.string();
  return "";
}

}  // namespace echodiff::cuda
