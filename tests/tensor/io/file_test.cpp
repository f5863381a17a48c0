// Whole-file reading and atomic writing: contents, faults of what cannot be done, nothing left behind.
#include "tensor/io/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <csignal>
#include <filesystem>

#include "kernels/error.h"
#include "tensor/io/lock.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class FileTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.at(name); }
  int64_t entries() const { return std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()); }

  ScratchFolder folder_;
};

template <class Work> Fault fault_of(Work work) {
  try {
    work();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.fault();
  }
  ADD_FAILURE() << "no error";
  return Fault::kInternal;
}

TEST_F(FileTest, ReadsBackWhatWasWritten) {
  std::string bytes;
  for (int i = 0; i < 100000; ++i) bytes += char(i * 7);
  write_file_atomic(at("a"), bytes);
  EXPECT_EQ(read_file(at("a")), bytes);
  write_file_atomic(at("a"), "");
  EXPECT_EQ(read_file(at("a")), "");
  EXPECT_EQ(entries(), 1);
  write_file_unsynced(at("b"), bytes);
  flush_folder(folder_.string());
  EXPECT_EQ(read_file(at("b")), bytes);
}

TEST_F(FileTest, FaultsSayWhatKindOfMistake) {
  EXPECT_EQ(fault_of([&] { read_file(at("none")); }), Fault::kMissingInput);
  EXPECT_EQ(fault_of([&] { read_file(folder_.string()); }), Fault::kMissingInput);
  EXPECT_EQ(fault_of([&] { write_file_atomic(at("none/a"), "x"); }), Fault::kCannotCreate);
  EXPECT_EQ(fault_of([&] { write_file_atomic(folder_.string(), "x"); }), Fault::kCannotCreate);
  write_file_atomic(at("file"), "x");
  EXPECT_EQ(fault_of([&] { make_directories(at("file/sub")); }), Fault::kCannotCreate);
  EXPECT_EQ(fault_of([&] { make_directories(at("file")); }), Fault::kCannotCreate);
  make_directories(at("p/q/r"));
  make_directories(at("p/q/r"));
  EXPECT_TRUE(fs::is_directory(at("p/q/r")));
}

TEST_F(FileTest, OnlyAbandonedTemporariesAreSwept) {
  const std::string left = at(std::string(kTemporaryPrefix) + "1-0"), busy = at(std::string(kTemporaryPrefix) + "1-1");
  for (const std::string& path : {left, busy, at("backup.tmp"), at("a.tmp123")}) write_file_unsynced(path, "x");
  make_directories(at(std::string(kTemporaryPrefix) + "1-2/images"));
  write_file_unsynced(at("precious"), "x");
  fs::create_symlink(at("precious"), at(std::string(kTemporaryPrefix) + "1-3"));
  {
    const FileLock writing(busy);
    const FolderLock lock(folder_.string());
    EXPECT_EQ(fault_of([&] { FolderLock second(folder_.string()); }), Fault::kLocked);
    EXPECT_EQ(fault_of([&] { FileLock second(busy); }), Fault::kLocked);
    EXPECT_TRUE(fs::exists(busy));
    EXPECT_EQ(entries(), 5);  // .lock
  }
  const FolderLock lock(folder_.string());
  EXPECT_EQ(entries(), 4);
  for (const char* kept : {"backup.tmp", "a.tmp123", "precious"}) EXPECT_EQ(read_file(at(kept)), "x") << kept;
}

TEST_F(FileTest, TemporariesFollowNoLink) {
  const std::string name = temporary_name();  // the next has the number after
  const int64_t number = std::stoll(name.substr(name.rfind('-') + 1)) + 1;
  write_file_unsynced(at("precious"), "old");
  fs::create_symlink(at("precious"), at(name.substr(0, name.rfind('-') + 1) + std::to_string(number)));
  write_file_atomic(at("a"), "new");
  EXPECT_EQ(read_file(at("precious")), "old");
  EXPECT_EQ(read_file(at("a")), "new");
}

TEST_F(FileTest, AppendsFromWhereItIsTold) {
  write_file_atomic(at("log"), "one\ntwo\nthr");
  AppendedFile log(at("log"), 4);
  log.write("2\n");
  log.sync();
  EXPECT_EQ(read_file(at("log")), "one\n2\n");
}

TEST_F(FileTest, FailedWriteKeepsTheOldFileAndLeavesNothing) {
  write_file_atomic(at("a"), "old");
  struct rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const struct rlimit small = {4096, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const Fault fault = fault_of([&] { write_file_atomic(at("a"), std::string(100000, 'x')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_EQ(fault, Fault::kIo);
  EXPECT_EQ(read_file(at("a")), "old");
  EXPECT_EQ(entries(), 1);
}

// A pipe would be waited for, a device may have no end.
TEST_F(FileTest, OnlyRegularFilesAreRead) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  for (const std::string& path : {at("pipe"), std::string("/dev/zero"), std::string("/dev/null")})
    EXPECT_EQ(fault_of([&] { read_file(path); }), Fault::kBadInput) << path;
  EXPECT_EQ(fault_of([&] { read_file(at("\xFF.png")); }), Fault::kBadInput);
  EXPECT_EQ(fault_of([&] { read_file(at(std::string("a\0b", 3))); }), Fault::kBadInput);
}

TEST_F(FileTest, ADeviceOrPipeIsNeverReplaced) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(fault_of([&] { write_file_atomic(at("pipe"), "x"); }), Fault::kCannotCreate);
  EXPECT_TRUE(fs::is_fifo(at("pipe")));
  EXPECT_EQ(entries(), 1);
  if (::mknod(at("null").c_str(), S_IFCHR | 0600, ::makedev(1, 3)) != 0) return;  // for root alone
  EXPECT_EQ(fault_of([&] { write_file_atomic(at("null"), "x"); }), Fault::kCannotCreate);
  EXPECT_TRUE(fs::is_character_file(at("null")));
}

}  // namespace
}  // namespace echodiff
