#include "train/run_dir.h"

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"

namespace echodiff {
RunDirectory::RunDirectory(const std::string& path) : path_(path), lock_(path) {
  for (const char* part : {"checkpoints", "samples"}) {
    make_directories(file(part));
    sweep_temporaries(file(part));
  }
}

void RunDirectory::write_config(const std::string& toml) const {
  write_file_atomic(file("config.toml"), with_end_marked(toml));
}

}  // namespace echodiff
