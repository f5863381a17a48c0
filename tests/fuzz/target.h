// What the fuzz targets share: a file to read bytes from, and what a reader may answer.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <string>

#include "kernels/error.h"

namespace echodiff::fuzz {

inline std::string text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// A file in memory, gone with the process.
struct TemporaryFile {
  explicit TemporaryFile(const std::string& end) : path("/dev/shm/echodiff-fuzz-" + std::to_string(::getpid()) + end) {}
  ~TemporaryFile() { ::unlink(path.c_str()); }
  std::string path;
};

// The path of a file of these bytes, named by its extension (".png"). The next call for that one overwrites it.
inline std::string file_of(const std::string& bytes, const std::string& end = "") {
  static std::map<std::string, TemporaryFile> files;
  const std::string& path = files.try_emplace(end, end).first->second.path;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// Runs a reader: it may return, or refuse what it read. Anything else stops the fuzzer.
template <class Read> void expect_read_or_refused(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.fault() != Fault::kBadInput) throw;
  }
}

}  // namespace echodiff::fuzz
