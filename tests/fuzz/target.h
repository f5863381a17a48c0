// What the fuzz targets share: a file to read bytes from, and what a reader may answer.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

#include "kernels/error.h"

namespace echodiff::fuzz {

inline std::string text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// The path of a file of these bytes in memory, named by its extension (".png"). The next call overwrites it.
inline std::string file_of(const std::string& bytes, const std::string& end = "") {
  const std::string path = "/dev/shm/echodiff-fuzz-" + std::to_string(::getpid()) + end;
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
