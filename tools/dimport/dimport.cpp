// dimport: a data-set folder from a lab's files: DICOM ultrasound, NIfTI and MetaImage volumes.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "cli/cli.h"
#include "dimport/child.h"
#include "dimport/dicom.h"
#include "dimport/import_folder.h"
#include "dimport/review_page.h"
#include "dimport/volume.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "train/folder/planes.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

struct Settings {
  std::string from, out, planes, salt, sector = "fit", reviewed, decisions;
  std::optional<int64_t> region;
  double change = 2;
};

// Which patient a picture is of, without saying who: HMAC-SHA256 of the patient, with a salt that is kept nowhere, or
// in a file of the user's.
class Groups {
 public:
  explicit Groups(const std::string& salt_file) {
    salt_ = salt_file.empty() ? random_bytes() : read_file(salt_file);
    check_input(salt_.size() >= 16, Fault::kBadInput, salt_file,
                ": expected 16 bytes at least; make one with: "
                "head -c 32 /dev/urandom > FILE");
  }
  std::string of(const std::string& patient) const {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int length = 0;
    HMAC(EVP_sha256(), salt_.data(), int(salt_.size()), reinterpret_cast<const unsigned char*>(patient.data()),
         patient.size(), digest, &length);
    std::string text;
    for (unsigned int i = 0; i < 8; ++i) {
      char two[3];
      std::snprintf(two, sizeof two, "%02x", digest[i]);
      text += two;
    }
    return text;
  }

 private:
  static std::string random_bytes() {
    std::string bytes(32, '\0');
    std::ifstream file("/dev/urandom", std::ios::binary);
    check_input(bool(file.read(bytes.data(), std::streamsize(bytes.size()))), Fault::kIo, "/dev/urandom can't be read");
    return bytes;
  }
  std::string salt_;
};

// Where a volume belongs: a mask says so by its name's end (patient1_gt) or its folder (labels/), and lies beside its
// picture or in a folder beside that of the pictures.
struct Place {
  bool is_mask = false, in_parts = false;  // in_parts: in a folder of pictures or of masks, not of one patient
  std::string key;
};
Place place_of(const fs::path& path) {
  Place place;
  std::string name = volume_stem(path.string());
  for (const char* ending : {"_gt", "_mask", "_seg", "_label"})
    if (lowered(name).ends_with(ending)) {
      name.resize(name.size() - std::string(ending).size());
      place.is_mask = true;
    }
  fs::path folder = path.parent_path();
  const std::string part = lowered(folder.filename().string());
  const bool masks = part.starts_with("label") || part.starts_with("mask"), images = part.starts_with("image");
  place.is_mask = place.is_mask || masks;
  place.in_parts = masks || images;
  if (place.in_parts) folder = folder.parent_path();
  place.key = (folder / name).string();
  return place;
}

struct Found {
  std::vector<std::string> dicom, volumes;
  std::map<std::string, std::string> masks;  // by key
  int64_t others = 0;
};

Found find_files(const std::string& folder) {
  check_input(fs::is_directory(folder), Fault::kMissingInput, folder, ": no such folder");
  std::vector<std::string> paths;
  for (const fs::directory_entry& entry :
       fs::recursive_directory_iterator(folder, fs::directory_options::skip_permission_denied))
    if (entry.is_regular_file()) paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  Found found;
  for (const std::string& path : paths) {
    if (!volume_stem(path).empty()) {
      const Place place = place_of(path);
      if (place.is_mask)
        found.masks[place.key] = path;
      else
        found.volumes.push_back(path);
    } else if (is_dicom(path)) {
      found.dicom.push_back(path);
    } else {
      ++found.others;
    }
  }
  check_input(!found.dicom.empty() || !found.volumes.empty(), Fault::kBadInput, folder,
              ": holds no DICOM, NIfTI or MetaImage pictures");
  return found;
}

// What the volume's folder says of whom it is of; the file's own name where the folder holds many.
std::string patient_of(const std::string& path, const std::string& from) {
  const Place place = place_of(path);
  const fs::path folder = fs::path(place.key).parent_path();
  return place.in_parts || fs::equivalent(folder, from) ? place.key : folder.string();
}

class Import {
 public:
  Import(const Settings& settings, const Common& common)
      : settings_(settings), common_(common), groups_(settings.salt), out_(settings.out, settings.change) {}

  // Refused files are named and the others go on.
  void try_file(const std::string& path, const std::function<void()>& take) {
    try {
      take();
    } catch (const Error& error) {
      if (error.fault() != Fault::kBadInput && error.fault() != Fault::kMissingInput) throw;
      std::fprintf(stderr, "dimport: left out: %s %s\n", path.c_str(), error.what());
      ++refused_;
    }
  }
  void take_dicom(const std::string& path) {
    try_file(path, [&] {
      const Clip clip = clip_of(in_child([&] { return to_bytes(read_dicom(path, settings_.region)); }));
      out_.add(clip, groups_.of(clip.patient.empty() ? path : clip.patient), std::nullopt, settings_.sector == "whole");
    });
  }
  void take_volume(const std::string& path, const std::map<std::string, std::string>& masks) {
    try_file(path, [&] {
      const auto mask = masks.find(place_of(path).key);
      check_input(masks.empty() || mask != masks.end(), Fault::kBadInput, "has no mask, as others have");
      const Clip clip = clip_of(in_child([&] { return to_bytes(read_volume(path, false)); }));
      std::optional<Clip> classes;
      if (mask != masks.end()) classes = clip_of(in_child([&] { return to_bytes(read_volume(mask->second, true)); }));
      out_.add(clip, groups_.of(patient_of(path, settings_.from)), classes, settings_.sector == "whole");
    });
  }
  int run() {
    const Found found = find_files(settings_.from);
    check_input(found.masks.empty() || found.dicom.empty(), Fault::kBadInput, settings_.from,
                ": masks for some pictures and DICOM without; import them into folders of their own");
    Progress progress("importing", int64_t(found.dicom.size() + found.volumes.size()), "files", common_.quiet);
    int64_t done = 0;
    prepare_dicom();
    for (const std::vector<std::string>* files : {&found.dicom, &found.volumes})
      for (const std::string& path : *files) {
        if (interrupted()) return interrupt_exit_code();
        files == &found.dicom ? take_dicom(path) : take_volume(path, found.masks);
        progress.update(++done, "");
      }
    progress.finish();
    const ImportCounts& counts = out_.counts();
    check_input(counts.pictures > 0, Fault::kBadInput, settings_.from, ": every file was left out");
    out_.finish(settings_.planes.empty() ? std::vector<Plane>() : parse_planes(settings_.planes));
    std::printf(
        "%lld clips of %lld frames: %lld pictures that differ, %lld of them seem to hold letters; %lld files left out, "
        "%lld others\n",
        static_cast<long long>(counts.clips), static_cast<long long>(counts.frames),
        static_cast<long long>(counts.pictures), static_cast<long long>(counts.written),
        static_cast<long long>(refused_), static_cast<long long>(found.others));
    std::printf("look at %s/review.html for names in the pictures, then: dimport reviewed %s reviewed.json\n",
                settings_.out.c_str(), settings_.out.c_str());
    return refused_ > 0 ? int(Fault::kBadInput) : 0;
  }

 private:
  const Settings& settings_;
  const Common& common_;
  Groups groups_;
  ImportFolder out_;
  int64_t refused_ = 0;
};

void declare(Options& options, Settings& settings) {
  options.add_positional("dir", settings.from, "folder with DICOM, NIfTI or MetaImage files, at any depth").required();
  options.add("--out", settings.out, "data-set folder to make", "DATA").required();
  options.add("--region", settings.region,
              "which region of 2D tissue of a DICOM file that names several, from 1; 0: whole pictures of files that "
              "name none",
              {0, 100}, "number", "the only one");
  options.add_choice("--sector", settings.sector,
                     "fit: a fan or trapezoid, found from the pixels; outside of it pictures become black | whole: the "
                     "whole picture",
                     {"fit", "whole"});
  options.add("--change", settings.change,
              "frames of a clip that differ less from the one kept before are left out; 0: keeps all", {0, 255},
              "grey levels");
  options.add("--planes", settings.planes, "names of the masks' values", "NAME=VALUE,...", "class_V");
  options.add("--salt", settings.salt,
              "file with 16 secret bytes or more: the same patient gets the same group in each import with it", "FILE",
              "random, kept nowhere");
}

// Marked last: a review that is broken off leaves the folder unreviewed.
int finish_review(const Settings& settings) {
  if (!settings.decisions.empty())
    std::printf("%zu pictures with names were removed\n", take_review(settings.reviewed, settings.decisions));
  mark_reviewed(settings.reviewed);
  return 0;
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  static Settings settings;
  return run_program(argc, argv,
                     {"dimport", "Makes a data-set folder from DICOM ultrasound, NIfTI and MetaImage files.",
                      "dimport lab --out data"},
                     [](Options& program) {
                       declare(program, settings);
                       program.body([](const Common& common) { return Import(settings, common).run(); });
                       Options& reviewed =
                           program.subcommand("reviewed", "Says that a person has looked at the pictures for names.",
                                              "dimport reviewed data reviewed.json");
                       reviewed.add_positional("data", settings.reviewed, "folder that dimport made").required();
                       reviewed.add_positional("file", settings.decisions,
                                               "reviewed.json that DATA/review.html downloaded: pictures with names "
                                               "are removed; without it: there are none");
                       reviewed.body([](const Common&) { return finish_review(settings); });
                     });
}
