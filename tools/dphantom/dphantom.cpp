// dphantom: writes a data-set folder of made-up ultrasound (src/train/phantom.h), ready for dtrain, dsample and dlabel.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "cli/cli.h"
#include "kernels/thread_pool.h"
#include "quality/recordings/sample_progress.h"
#include "tensor/io/file.h"
#include "tensor/io/lock.h"
#include "train/phantom/phantom.h"

namespace {

using namespace echodiff;
namespace fs = std::filesystem;

struct Settings {
  std::string out;
  int64_t count = 1000;
  int64_t size = 64;
  double test_fraction = 0.1;
};

constexpr const char* kDescription =
    "{\"planes\": [{\"name\": \"liver\", \"value\": 1}, {\"name\": \"portal_vein\", \"value\": 2}], \"sector\": "
    "true}\n";

// A folder that becomes `target` when finished and vanishes otherwise: a data set is never seen half written.
class StagingFolder {
 public:
  explicit StagingFolder(const fs::path& target)
      : target_(target), parent_(target.has_parent_path() ? target.parent_path() : fs::path(".")) {
    std::error_code error;
    const bool free = !fs::exists(target_, error) || (fs::is_directory(target_, error) && fs::is_empty(target_, error));
    check_input(free && !error, Fault::kCannotCreate, target_.string(),
                ": is there already and not an empty folder; name another or remove it");
    make_directories(parent_.string());
    sweep_temporaries(parent_.string());
    do {
      path_ = parent_ / temporary_name();
    } while (fs::exists(path_, error));
    make_directories(path_.string());
    lock_.emplace(path_.string());  // says that somebody is at work: a sweep leaves it alone
    for (const char* part : {"images", "masks", "sector"}) make_directories((path_ / part).string());
  }
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;
  ~StagingFolder() {
    std::error_code ignored;  // nothing more can be done about it here
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  void finish() {
    flush_folder(path_.string());
    std::error_code error;
    fs::rename(path_, target_, error);
    check_input(!error, Fault::kCannotCreate, target_.string(), ": cannot be created: ", error.message());
    path_.clear();
    sync_names(parent_.string());
  }

 private:
  fs::path target_, parent_, path_;
  std::optional<FileLock> lock_;
};

// Picture i is a test picture: spread evenly, and the same whatever the count (pictures are independent draws).
bool is_test(int64_t i, double fraction) {
  return std::floor(double(i + 1) * fraction + 1e-9) > std::floor(double(i) * fraction + 1e-9);
}

// Writes picture i and returns its line of index.csv; every picture is a group of its own.
std::string make_picture(const Settings& settings, const Common& common, const StagingFolder& folder, int64_t i) {
  const Phantom phantom = make_phantom({settings.size, common.seed}, i);
  const std::string name = picture_name(i);
  write_file_unsynced(folder.file("images/" + name), encode_png(phantom.image));
  write_file_unsynced(folder.file("masks/" + name), encode_png(phantom.mask));
  write_file_unsynced(folder.file("sector/" + name), encode_png(phantom.sector));
  char quality[16];
  std::snprintf(quality, sizeof quality, "%.3f", phantom.quality);
  const std::string split = is_test(i, settings.test_fraction) ? "test" : "train";
  return name + "," + split + "," + name.substr(0, name.size() - 4) + "," + quality + "," + phantom.defect + "\n";
}

int make_dataset(const Settings& settings, const Common& common) {
  constexpr int64_t kChunk = 64;  // pictures between two looks at the progress
  fs::path target = fs::path(settings.out).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "DIR/"
  set_thread_count(int(common.threads));
  StagingFolder folder(target);
  std::string index = "file,split,group,quality,defect\n";
  Progress progress("phantom", settings.count, "pictures", common.quiet);
  for (int64_t begin = 0; begin < settings.count; begin += kChunk) {
    std::vector<std::string> lines(size_t(std::min(kChunk, settings.count - begin)));
    parallel_for(int64_t(lines.size()), [&](int64_t i) {
      if (!interrupted()) lines[size_t(i)] = make_picture(settings, common, folder, begin + i);
    });
    if (interrupted()) return interrupt_exit_code();
    for (const std::string& line : lines) index += line;
    progress.update(begin + int64_t(lines.size()));
  }
  write_file_unsynced(folder.file("index.csv"), index);
  write_file_unsynced(folder.file("dataset.json"), kDescription);
  folder.finish();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  return run_program(
      argc, argv,
      {"dphantom", "Writes a data-set folder of made-up abdominal ultrasound with exact liver and portal vein masks.",
       "dphantom --out phantom --count 1000 --size 64 --seed 1"},
      [&](Options& options) {
        options.add("--out", settings.out, "data-set folder to make (images/, masks/, sector/, index.csv)", "DIR")
            .required();
        options.add("--count", settings.count, "pictures to make", {1, 999999}, "pictures");
        options.add("--size", settings.size, "width and height of a picture", {16, 1024}, "pixels");
        options.add("--test-fraction", settings.test_fraction, "share of the pictures put into the test split",
                    {0, 0.9}, "fraction");
        options.body([&](const Common& common) { return make_dataset(settings, common); });
      });
}
