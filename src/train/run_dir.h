// A run directory, held by one process at a time.
#pragma once

#include <string>

#include "tensor/io/lock.h"

namespace echodiff {

// Creates DIR with checkpoints/ and samples/ where they are missing, and holds its lock while it lives. Throws Error:
// kCannotCreate, kLocked when another process holds it.
class RunDirectory {
 public:
  explicit RunDirectory(const std::string& path);

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  // config.toml, whole or not at all, with its end marked (text.h). `toml` is Common::resolved_toml; facts found on the
  // way ("planes") can follow it in a [resolved] table, which --config skips.
  void write_config(const std::string& toml) const;

 private:
  std::string path_;
  FolderLock lock_;
};

}  // namespace echodiff
