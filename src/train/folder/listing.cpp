#include "train/folder/listing.h"

#include <algorithm>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/pictures/picture_file.h"
#include "tensor/io/text.h"
#include "train/data/dataset_index.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostCounted = 100'000;  // files of subfolders

int64_t files_below(const fs::path& folder) {
  std::error_code error;
  int64_t count = 0;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error), end;
       !error && entry != end && count < kMostCounted; entry.increment(error)) {
    std::error_code ignored;
    count += entry->is_regular_file(ignored) ? 1 : 0;
  }
  return count;
}

}  // namespace

FolderListing list_folder(const std::string& directory) {
  std::error_code error;
  check_input(fs::is_directory(directory, error), Fault::kMissingInput, directory,
              ": no such folder, expected one with a file for every picture (docs/data_folders.md)");
  FolderListing listing;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name[0] == '.') continue;
    if (entry->is_directory(ignored)) {
      const int64_t below = files_below(entry->path());
      if (below > 0) listing.left_out["in subfolders"] += below;
    } else if (is_picture_name(name)) {
      listing.pictures.push_back(name);
    } else {
      const std::string ending = lowered(entry->path().extension().string());
      ++listing.left_out[ending.empty() ? "without an ending" : ending];
    }
  }
  const bool memory = error == std::errc::not_enough_memory;
  check_input(!error, memory ? Fault::kOutOfMemory : Fault::kMissingInput, directory,
              ": cannot be listed: ", error.message());
  std::sort(listing.pictures.begin(), listing.pictures.end());
  std::map<std::string, std::string> by_stem;
  for (const std::string& name : listing.pictures) {
    const auto [first, added] = by_stem.emplace(stem_of(name), name);
    check_input(added, Fault::kBadInput, directory, ": ", first->second, " and ", name,
                " differ in their ending alone, expected one picture of a name; remove or rename one");
  }
  return listing;
}

std::string left_out_text(const std::map<std::string, int64_t>& left_out) {
  std::string text;
  for (const auto& [kind, count] : left_out) text += concat_message(text.empty() ? "" : ", ", count, " ", kind);
  return text;
}

std::string stem_of(const std::string& file) { return is_picture_name(file) ? fs::path(file).stem().string() : file; }

bool same_picture(const std::string& a, const std::string& b) { return a == b || stem_of(a) == stem_of(b); }

std::string partner_of(const std::vector<std::string>& names, const std::string& file) {
  if (std::binary_search(names.begin(), names.end(), file)) return file;
  const std::string stem = stem_of(file);
  for (std::vector<std::string>::const_iterator at = std::lower_bound(names.begin(), names.end(), stem);
       at != names.end() && at->starts_with(stem); ++at)
    if (stem_of(*at) == stem) return *at;
  return "";
}

std::string partner_in(const std::string& directory, const std::string& file) {
  std::error_code ignored;
  if (fs::exists(fs::path(directory) / file, ignored)) return (fs::path(directory) / file).string();
  if (!fs::is_directory(directory, ignored)) return "";
  const std::string partner = partner_of(list_folder(directory).pictures, file);
  return partner.empty() ? "" : (fs::path(directory) / partner).string();
}

GrayImage read_picture(const std::string& path) {
  const DecodedPicture decoded = decode_picture(read_file(path), path);
  Window window;
  const fs::path json = fs::path(path).parent_path().parent_path() / "dataset.json";
  std::error_code ignored;
  if (decoded.bits == 16 && fs::exists(json, ignored)) window = read_description(json.string()).window.value_or(window);
  return as_grey(decoded, window, path);
}

}  // namespace echodiff
