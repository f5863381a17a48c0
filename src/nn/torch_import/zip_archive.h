// A zip archive as PyTorch writes them: stored records in one folder, each checked against its CRC-32 as it is read.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct zip;

namespace echodiff {

class ZipArchive {
 public:
  struct Record {
    std::string name;  // within the folder: "data/0"
    int64_t size;
  };

  // Throws Error(kBadInput), naming the file and the record, for an archive that is damaged or inconsistent, records
  // that are compressed, encrypted, named twice or outside the one folder, and sizes that exceed the file's.
  ZipArchive(const std::string& path, int64_t file_size);
  ~ZipArchive();
  ZipArchive(const ZipArchive&) = delete;
  ZipArchive& operator=(const ZipArchive&) = delete;

  const std::string& folder() const { return folder_; }
  const std::vector<Record>& records() const { return records_; }  // in the archive's order
  // Its number; -1 without one of that name.
  int64_t find(std::string_view name) const;

  // Hands over the record's bytes in order, at most `block` at a time; they may be changed there. Throws
  // Error(kBadInput) when they do not have the size or CRC-32 that the directory says.
  void read(size_t record, int64_t block, const std::function<void(char* bytes, int64_t first, int64_t count)>& take);
  std::string read_whole(size_t record);

 private:
  template <class... Parts> [[noreturn]] void fail(const Parts&... parts) const;

  std::string path_, folder_;
  std::unique_ptr<zip, void (*)(zip*)> archive_;
  std::vector<Record> records_;
  std::string block_;
};

}  // namespace echodiff
