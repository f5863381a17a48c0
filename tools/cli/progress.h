// How far a loop is, on stderr: a bar with the time left on a terminal, a plain line every 10 s otherwise.
//
//   Progress progress("training", steps, "steps", common.quiet);
//   for (...) progress.update(step, "loss 0.0123");
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace echodiff {

class Progress {
 public:
  // `first`: what was done before this process (a resumed run): it doesn't count for the speed.
  Progress(std::string what, int64_t total, std::string unit = "steps", bool quiet = false, int64_t first = 0);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `done` of the total are finished; `detail` is printed behind the bar. Cheap: prints at most 10 times a second.
  void update(int64_t done, const std::string& detail = "");
  // Ends the bar's line, so that something else can be printed; the next update draws it again.
  void finish();

 private:
  void print(double seconds);

  std::string what_, unit_, detail_;
  int64_t total_, first_, done_;
  bool quiet_, terminal_, drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  double next_ = 0;  // seconds after the start when the next print is due
};

// "2 h 03 min", "4 min 10 s", "8.5 s".
std::string format_duration(double seconds);

}  // namespace echodiff
