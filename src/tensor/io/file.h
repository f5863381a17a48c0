// Whole files in and out of memory: a written file is either completely there or not there at all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/error.h"

namespace echodiff {

// Why a file or folder could not be made, of its errno: kIo when the disk is full or failing, kOutOfMemory,
// else kCannotCreate.
Fault creation_fault(int error);

// All bytes of the file at `path`. Throws Error: kMissingInput when there is no such file, or it is a folder or may
// not be read; kBadInput when it is no regular file (a pipe, a device: they may have no end); kIo when reading fails.
std::string read_file(const std::string& path);

// A file read piece by piece.
class InputFile {
 public:
  // Throws Error, kMissingInput and kBadInput, as read_file does.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }
  // Bytes offset .. offset + size - 1, which must lie within the file. Throws Error(kIo) when reading fails or the file
  // has become shorter.
  void read_at(int64_t offset, char* out, int64_t size) const;
  std::string read(int64_t offset, int64_t size) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

// Names that begin so are ours alone: of files and folders that become another when they are whole. What a kill left of
// them goes when the next writer locks the folder (lock.h); nothing else is ever taken for one.
inline constexpr std::string_view kTemporaryPrefix = ".echodiff-tmp-";
std::string temporary_name();  // one that no other call of this process gives

// Replaces `path` by `bytes`, whole or not at all, even through a crash or power loss: a temporary file in the same
// folder, fsync, rename, fsync of the folder. Throws Error kCannotCreate when the file can't be made there, kIo when
// writing fails (disk full); the temporary file is gone then and an older `path` is untouched.
void write_file_atomic(const std::string& path, std::string_view bytes);

// Writes `path` without waiting for the disk: for the many files of a folder that is written
// under another name, then flushed as a whole (flush_folder) and renamed. Throws Error kCannotCreate or kIo.
void write_file_unsynced(const std::string& path, std::string_view bytes);

// Waits until everything on the file system that holds the folder `path` is on disk. Throws Error kIo.
void flush_folder(const std::string& path);

// Waits until the names in the folder `path` are on disk: after one was made, renamed or removed. Throws Error kIo.
void sync_names(const std::string& path);

// Makes the folder `path` and those above it where they are missing, and waits until their names are on disk. Throws
// Error kCannotCreate, kIo.
void make_directories(const std::string& path);

// A file that grows line by line.
class AppendedFile {
 public:
  // Cuts the file at `path` to its first `size` bytes, or makes it. Throws Error kCannotCreate.
  AppendedFile(const std::string& path, int64_t size);
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  void write(std::string_view bytes);  // at the end; throws Error kIo, some of them may be written then
  void sync();                         // waits until all is on disk; throws Error kIo

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace echodiff
