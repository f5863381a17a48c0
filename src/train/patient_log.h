// A run log that outlasts a full disk: lines that can't be written wait, and training goes on.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/run_log.h"

namespace echodiff {

class PatientLog {
 public:
  using Fields = std::vector<std::pair<std::string, LogValue>>;

  // As RunLog; `warn` gets one message when lines begin to wait.
  PatientLog(const std::string& path, int64_t keep_to_step, std::function<void(const std::string&)> warn);

  // Appends {"step": step, fields...}, and first all that wait.
  void write(int64_t step, const Fields& fields);
  // Writes what still waits. Throws Error(kIo).
  void finish();

 private:
  void flush();

  std::string path_;
  std::function<void(const std::string&)> warn_;
  std::optional<RunLog> log_;
  std::deque<Fields> waiting_;
  bool warned_ = false;
};

}  // namespace echodiff
