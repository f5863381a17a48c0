#include "train/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernels/error.h"
#include "tensor/io/file.h"

namespace echodiff {
RunDirectory::RunDirectory(const std::string& path) : path_(path) {
  make_directories(path);
  const std::string lock = file(".lock");
  lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  const bool disk_full = errno == ENOSPC || errno == EDQUOT || errno == EIO;
  check_input(lock_ >= 0, disk_full ? Fault::kIo : Fault::kCannotCreate, lock,
              ": can't create: ", std::strerror(errno));
  // The kernel drops the lock when the process ends, however it ends.
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    close(lock_);
    check_input(reason != EWOULDBLOCK, Fault::kLocked, path,
                ": another process works in this run directory; wait for it or choose another");
    throw Error(Fault::kIo, concat_message(lock, ": can't lock: ", std::strerror(reason)));
  }
  try {
    make_directories(file("checkpoints"));
    make_directories(file("samples"));
  } catch (...) {
    close(lock_);
    throw;
  }
}

RunDirectory::~RunDirectory() { close(lock_); }

void RunDirectory::write_config(const std::string& toml) const { write_file_atomic(file("config.toml"), toml); }

}  // namespace echodiff
