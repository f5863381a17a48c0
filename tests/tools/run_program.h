// Runs one of the programs quietly.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <string>

namespace echodiff {

// "dtrain scorer --out x" -> its exit code.
inline int run(const std::string& command) {
  return WEXITSTATUS(std::system((std::string(ECHODIFF_BIN_DIR) + "/" + command + " --quiet >/dev/null 2>&1").c_str()));
}

}  // namespace echodiff
