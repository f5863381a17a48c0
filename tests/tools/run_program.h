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

// The same, killed after so many seconds where it has not ended by then: 137.
inline int run_for(double seconds, const std::string& command, const char* signal = "KILL") {
  // What a shell starts in the background ignores SIGINT, and so would its programs.
  const std::string killer = "env --default-signal=INT,HUP,TERM timeout --preserve-status -s " + std::string(signal) +
                             " " + std::to_string(seconds);
  const int status =
      std::system((killer + " " + ECHODIFF_BIN_DIR + "/" + command + " --quiet >/dev/null 2>&1").c_str());
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace echodiff
