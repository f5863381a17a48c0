#include "tensor/io/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// Throws unless the lock on `descriptor` is ours now; closes it then.
void take(int descriptor, const std::string& path, const char* advice) {
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return;
  const int reason = errno;
  ::close(descriptor);
  check_input(reason != EWOULDBLOCK, Fault::kLocked, path, ": another process ", advice);
  throw Error(Fault::kIo, concat_message(path, ": cannot be locked: ", std::strerror(reason)));
}

bool same_file(int descriptor, const std::string& path) {
  struct stat ours = {}, named = {};
  return ::fstat(descriptor, &ours) == 0 && ::stat(path.c_str(), &named) == 0 && ours.st_dev == named.st_dev &&
         ours.st_ino == named.st_ino;
}

// Whoever writes one holds a lock on it.
bool is_abandoned(const fs::path& path) {
  if (fs::is_symlink(path)) return true;  // we make no links of such names
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool free = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  ::close(descriptor);
  return free;
}

}  // namespace

FolderLock::FolderLock(const std::string& folder) {
  make_directories(folder);
  const std::string path = folder + "/.lock";
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  check_input(descriptor_ >= 0, creation_fault(errno), path, ": cannot be created: ", std::strerror(errno));
  take(descriptor_, folder, "works in this folder; wait for it or choose another");
  sweep_temporaries(folder);
}

FolderLock::~FolderLock() { ::close(descriptor_); }

FileLock::FileLock(const std::string& path) {
  do {  // until the file that is locked is the one of that name still
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);  // a pipe would wait for who writes into it
    if (descriptor_ < 0) return;
    take(descriptor_, path, "is changing this file; run this again when it is done");
  } while (!same_file(descriptor_, path));
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void sweep_temporaries(const std::string& folder) {
  std::error_code ignored;
  for (fs::directory_iterator entry(folder, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    if (!entry->path().filename().string().starts_with(kTemporaryPrefix)) continue;
    std::error_code failed;
    if (is_abandoned(entry->path())) fs::remove_all(entry->path(), failed);
  }
}

}  // namespace echodiff
