// Runs one of the programs quietly.
#pragma once

#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <string>

namespace echodiff {

// "dtrain scorer --out x" -> its exit code.
inline int run(const std::string& command) {
  return WEXITSTATUS(std::system((std::string(ECHODIFF_BIN_DIR) + "/" + command + " --quiet >/dev/null 2>&1").c_str()));
}

// How long it takes, in seconds: a test that kills it on its way goes by that, as no machine is as fast as another.
// Negative where it fails.
inline double seconds_of(const std::string& command) {
  const std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
  const int code = run(command);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return code == 0 ? elapsed.count() : -1;
}

// The same, killed after so many seconds where it has not ended by then: 137.
inline int run_for(double seconds, const std::string& command, const char* signal = "KILL") {
  // What a shell starts in the background ignores SIGINT, and so would its programs. In the foreground timeout outlives
  // a KILL and waits until the program is gone, and its lock with it.
  const std::string killer = "env --default-signal=INT,HUP,TERM timeout --foreground --preserve-status -s " +
                             std::string(signal) + " " + std::to_string(seconds);
  const int status =
      std::system((killer + " " + ECHODIFF_BIN_DIR + "/" + command + " --quiet >/dev/null 2>&1").c_str());
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace echodiff
