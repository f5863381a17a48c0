#include "nn/torch_import/zip_archive.h"

#include <zip.h>

#include <algorithm>
#include <unordered_set>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr zip_int64_t kMaxRecords = 200'000;

zip* open_archive(const std::string& path, int64_t file_size) {
  int code = 0;
  if (zip* archive = zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code)) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string reason = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw Error(code == ZIP_ER_MEMORY ? Fault::kOutOfMemory : Fault::kBadInput,
              concat_message(path, ": the zip directory at the end of its ", file_size, " bytes is not sound (", reason,
                             "); the file is damaged or cut off"));
}

}  // namespace

template <class... Parts> void ZipArchive::fail(const Parts&... parts) const {
  throw Error(Fault::kBadInput, concat_message(path_, ": ", parts...));
}

ZipArchive::ZipArchive(const std::string& path, int64_t file_size)
    : path_(path), archive_(open_archive(path, file_size), zip_discard) {
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  if (count > kMaxRecords) fail(count, " records, expected at most ", kMaxRecords);
  std::unordered_set<std::string> names;
  int64_t total = 0;
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t about;
    zip_stat_init(&about);
    constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD |
                                     ZIP_STAT_ENCRYPTION_METHOD | ZIP_STAT_CRC;
    if (zip_stat_index(archive_.get(), zip_uint64_t(i), 0, &about) != 0 || (about.valid & kNeeded) != kNeeded)
      fail("record ", i, " has no complete description; the file is damaged");
    const std::string full = about.name, shown = in_quotes(full);
    if (about.encryption_method != ZIP_EM_NONE) fail("record ", shown, " is encrypted; save it without");
    if (about.comp_method != ZIP_CM_STORE)
      fail("record ", shown, " is compressed (method ", about.comp_method,
           "), expected it stored as torch.save does; unpack it and zip it again with -0");
    if (about.size != about.comp_size)
      fail("record ", shown, " is stored, but in ", about.comp_size, " bytes of ", about.size, "; the file is damaged");
    if (about.size > uint64_t(file_size - total))
      fail("record ", shown, " of ", about.size, " bytes: the records are larger than the file of ", file_size,
           "; the file is damaged or hostile");
    total += int64_t(about.size);
    const size_t slash = full.find('/');
    if (i == 0 && slash != std::string::npos) folder_ = full.substr(0, slash);
    if (slash == std::string::npos || slash == 0 || full.compare(0, slash, folder_) != 0 || folder_ == ".." ||
        folder_ == ".")
      fail("record ", shown, " is not in the folder ", in_quotes(folder_), " of the first, expected one folder");
    if (!names.insert(full).second) fail("record ", shown, " is there twice; the file is damaged or hostile");
    records_.push_back({full.substr(slash + 1), int64_t(about.size)});
  }
}

ZipArchive::~ZipArchive() = default;

int64_t ZipArchive::find(std::string_view name) const {
  for (size_t i = 0; i < records_.size(); ++i)
    if (records_[i].name == name) return int64_t(i);
  return -1;
}

void ZipArchive::read(size_t record, int64_t block,
                      const std::function<void(char* bytes, int64_t first, int64_t count)>& take) {
  const std::string shown = in_quotes(records_[record].name);
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(zip_fopen_index(archive_.get(), record, 0), zip_fclose);
  if (!file) fail("record ", shown, ": ", zip_strerror(archive_.get()), "; the file is damaged");
  const int64_t size = records_[record].size;
  block_.resize(size_t(std::min(block, std::max<int64_t>(size, 1))));
  for (int64_t first = 0; first < size;) {
    const int64_t wanted = std::min(int64_t(block_.size()), size - first);
    for (int64_t done = 0; done < wanted;) {
      const zip_int64_t count = zip_fread(file.get(), block_.data() + done, zip_uint64_t(wanted - done));
      if (count <= 0)
        fail("record ", shown, " at byte ", first + done, " of ", size, ": ",
             count < 0 ? zip_file_strerror(file.get()) : "it ends", "; the file is damaged");
      done += count;
    }
    take(block_.data(), first, wanted);
    first += wanted;
  }
  // The CRC is compared when the end is seen.
  char beyond = 0;
  if (zip_fread(file.get(), &beyond, 1) != 0)
    fail("record ", shown, " of ", size, " bytes: ", zip_file_strerror(file.get()),
         " at its end (CRC-32 or size); the file is damaged");
}

std::string ZipArchive::read_whole(size_t record) {
  std::string bytes;
  read(record, std::max<int64_t>(records_[record].size, 1),
       [&](char* block, int64_t, int64_t count) { bytes.assign(block, size_t(count)); });
  return bytes;
}

}  // namespace echodiff
