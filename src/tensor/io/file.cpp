// POSIX calls rather than streams: only they give fsync, and an errno to report.
#include "tensor/io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "kernels/error.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  // Closing may report a write that failed late (NFS, quotas), so it can't be left to the destructor.
  int close() {
    const int result = ::close(number_);
    number_ = -1;
    return result;
  }

 private:
  int number_;
};

// Removes a file unless it was renamed into place.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

std::string reason() { return std::strerror(errno); }

constexpr const char* kRegular = ", expected a regular file; copy what it holds into one";

const char* kind_of(mode_t mode) {
  if (S_ISFIFO(mode)) return "pipe";
  if (S_ISSOCK(mode)) return "socket";
  return S_ISCHR(mode) || S_ISBLK(mode) ? "device" : "special file";
}

void check_created(bool created, const std::string& name) {
  check_input(created, creation_fault(errno), name, ": cannot be created: ", reason());
}

// Opens `path` for writing from empty; errors speak of `name`.
Descriptor create(const std::string& path, const std::string& name) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
  check_created(file.number() >= 0, name);
  return file;
}

// A new temporary file in `folder`. The lock on it says that somebody is at work: a sweep leaves it alone.
Descriptor create_temporary(const std::string& folder, const std::string& name, std::string* path) {
  do {
    *path = folder + "/" + temporary_name();
    Descriptor file(::open(path->c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (file.number() < 0 && errno == EEXIST) continue;  // left by a killed process of this number
    check_created(file.number() >= 0, name);
    ::flock(file.number(), LOCK_EX | LOCK_NB);
    return file;
  } while (true);
}

void write_all(int file, std::string_view bytes, const std::string& name) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t count = ::write(file, bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check_input(count >= 0, Fault::kIo, name, ": writing failed after ", done, " of ", bytes.size(),
                " bytes: ", reason());
    done += size_t(count);
  }
}

}  // namespace

Fault creation_fault(int error) {
  if (error == ENOMEM) return Fault::kOutOfMemory;
  return error == ENOSPC || error == EDQUOT || error == EIO ? Fault::kIo : Fault::kCannotCreate;
}

InputFile::InputFile(const std::string& path) : path_(path) {
  // Names go on into lists, labels and pages, which are UTF-8; a NUL would end them early for the system.
  check_input(is_utf8(path) && path.find('\0') == std::string::npos, Fault::kBadInput, in_quotes(path),
              ": expected a file name in UTF-8; rename it");
  Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));  // opening a pipe would wait for a writer
  check_input(file.number() >= 0 || errno != ENXIO, Fault::kBadInput, path, ": is a socket or has no device", kRegular);
  check_input(file.number() >= 0, errno == ENOMEM ? Fault::kOutOfMemory : Fault::kMissingInput, path,
              ": cannot be opened: ", reason(), "; give the path of a readable file");
  struct stat about = {};
  check_input(::fstat(file.number(), &about) == 0, Fault::kIo, path, ": ", reason());
  check_input(!S_ISDIR(about.st_mode), Fault::kMissingInput, path, ": is a folder, expected a file");
  check_input(S_ISREG(about.st_mode), Fault::kBadInput, path, ": is a ", kind_of(about.st_mode), kRegular);
  size_ = int64_t(about.st_size);
  descriptor_ = file.release();
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void InputFile::read_at(int64_t offset, char* out, int64_t size) const {
  check(offset >= 0 && size >= 0 && offset <= size_ && size <= size_ - offset, "read_at: bytes ", offset, " + ", size,
        " lie outside ", path_);
  for (int64_t done = 0; done < size;) {
    const ssize_t count = ::pread(descriptor_, out + done, size_t(size - done), off_t(offset + done));
    if (count < 0 && errno == EINTR) continue;
    check_input(count >= 0, Fault::kIo, path_, ": reading failed at byte ", offset + done, ": ", reason());
    check_input(count > 0, Fault::kIo, path_, ": ends at byte ", offset + done, ", expected ", size_,
                " bytes; it was cut while it was read");
    done += int64_t(count);
  }
}

std::string InputFile::read(int64_t offset, int64_t size) const {
  std::string bytes(size_t(size), '\0');
  read_at(offset, bytes.data(), size);
  return bytes;
}

std::string read_file(const std::string& path) {
  const InputFile file(path);
  return file.read(0, file.size());
}

std::string temporary_name() {
  static std::atomic<int64_t> count{0};
  return std::string(kTemporaryPrefix) + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  const std::filesystem::path target(path);
  const std::string folder = target.has_parent_path() ? target.parent_path().string() : std::string(".");
  std::error_code ignored;  // whatever else is wrong shows when the file is opened
  // A rename would put the file in the place of a device or a pipe, as root even of /dev/null.
  check_input(!std::filesystem::exists(target, ignored) || std::filesystem::is_regular_file(target, ignored) ||
                  std::filesystem::is_directory(target, ignored),
              Fault::kCannotCreate, path, ": is a device, a pipe or a socket, expected the name of a file");
  check_input(target.has_filename() && !std::filesystem::is_directory(target, ignored), Fault::kCannotCreate, path,
              ": cannot be created: it names a folder, expected the name of a file");
  std::string made;
  Descriptor file = create_temporary(folder, path, &made);
  TemporaryFile temporary(made);
  write_all(file.number(), bytes, path);
  check_input(::fsync(file.number()) == 0, Fault::kIo, path, ": fsync failed: ", reason(), "; nothing was replaced");
  check_input(file.close() == 0, Fault::kIo, path, ": close failed: ", reason(), "; nothing was replaced");
  check_input(::rename(temporary.path().c_str(), path.c_str()) == 0, Fault::kIo, path, ": rename failed: ", reason(),
              "; nothing was replaced");
  temporary.keep();
  // Without this the new name may be lost with the power although its bytes are safe.
  sync_names(folder);
}

void write_file_unsynced(const std::string& path, std::string_view bytes) {
  Descriptor file = create(path, path);
  write_all(file.number(), bytes, path);
  check_input(file.close() == 0, Fault::kIo, path, ": close failed: ", reason());
}

void flush_folder(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  check_input(directory.number() >= 0 && ::syncfs(directory.number()) == 0, Fault::kIo, path,
              ": flushing to disk failed: ", reason());
}

void sync_names(const std::string& path) {
  const Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.number() < 0 && errno == EACCES) return;  // it may be written and not read: nobody can wait for it
  check_input(directory.number() >= 0 && ::fsync(directory.number()) == 0, Fault::kIo, path,
              ": fsync of the folder failed: ", reason());
}

void make_directories(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  std::vector<fs::path> missing;  // the innermost first
  for (fs::path folder = fs::absolute(path, error); !error && !fs::exists(folder, error) && folder.has_relative_path();
       folder = folder.parent_path())
    missing.push_back(folder);
  fs::create_directories(path, error);
  const Fault fault = creation_fault(error.value());
  check_input(!error && fs::is_directory(path, error), fault, path,
              ": the folder cannot be created: ", error ? error.message() : "a file has that name");
  for (const fs::path& made : missing)
    if (made.has_filename()) sync_names(made.parent_path().string());
}

AppendedFile::AppendedFile(const std::string& path, int64_t size) : path_(path) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666));
  check_created(file.number() >= 0, path);
  check_input(::ftruncate(file.number(), off_t(size)) == 0, Fault::kIo, path, ": cannot be cut to ", size,
              " bytes: ", reason());
  descriptor_ = file.release();
}

AppendedFile::~AppendedFile() { ::close(descriptor_); }

void AppendedFile::write(std::string_view bytes) { write_all(descriptor_, bytes, path_); }

void AppendedFile::sync() { check_input(::fsync(descriptor_) == 0, Fault::kIo, path_, ": fsync failed: ", reason()); }

}  // namespace echodiff
