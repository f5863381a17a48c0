// Locks between processes, which the kernel drops when their holder ends, however it ends; and clearing what a killed
// holder left behind.
#pragma once

#include <string>

namespace echodiff {

// One process at a time works in a folder.
class FolderLock {
 public:
  // Makes the folder where it is missing, takes the lock (flock on FOLDER/.lock) and sweeps the folder. Throws Error:
  // kCannotCreate, kLocked when another process holds it.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

// One process at a time reads, changes and replaces (write_file_atomic) a file, or a folder without a name of its own.
// Where it isn't there nothing is locked.
class FileLock {
 public:
  // Throws Error(kLocked) when another process holds it.
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Removes the temporaries (kTemporaryPrefix) in a folder that no process is writing any more. Failing to is no harm.
void sweep_temporaries(const std::string& folder);

}  // namespace echodiff
