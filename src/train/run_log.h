// log.jsonl: one JSON object a line, appended while a run goes on.
//
//   RunLog log(run.file("log.jsonl"), first_step);
//   log.write({{"step", 10}, {"loss", 0.123}, {"seconds", 1.5}});
//   log.write({{"step", 10}, {"val_loss", 0.1}, {"val_bins", std::vector<double>{...}}});
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tensor/io/file.h"
#include "train/event_file.h"
#include "train/log_fields.h"

namespace echodiff {

class RunLog {
 public:
  // Appends to PATH, as AppendedFile does. Lines of steps beyond `keep_to_step` (a resumed run starts behind its last
  // log line) and a last line cut off by a crash are dropped first; keep_to_step < 0 starts an empty log. Throws Error
  // kCannotCreate, kIo. `events`, if any, gets every line too.
  RunLog(const std::string& path, int64_t keep_to_step = -1, std::shared_ptr<EventFile> events = {});

  // Numbers are written with the fewest digits that read back the same; NaN and inf as null. Throws Error kIo.
  void write(const LogFields& fields);
  // Waits until every line is on disk: before a checkpoint of a later step is written. Throws Error kIo.
  void sync() { file_->sync(); }

 private:
  std::optional<AppendedFile> file_;
  std::shared_ptr<EventFile> events_;
};

// The last step that has a field of this name in the log at PATH; 0 without one. A line cut off by a crash is none.
int64_t last_logged(const std::string& path, const std::string& field);

// One that outlasts a full disk: lines that can't be written wait, and training goes on.
class PatientLog {
 public:
  // As RunLog; `warn` gets one message when lines begin to wait.
  PatientLog(const std::string& path, int64_t keep_to_step, std::function<void(const std::string&)> warn,
             std::shared_ptr<EventFile> events = {});

  // Appends {"step": step, fields...}, and first all that wait.
  void write(int64_t step, const LogFields& fields);
  // Writes what still waits. Throws Error(kIo).
  void finish();
  // Waits until what is written is on disk, as far as the disk takes it.
  void sync();

 private:
  std::string path_;
  std::function<void(const std::string&)> warn_;
  std::optional<RunLog> log_;
  std::shared_ptr<EventFile> events_;
  std::deque<LogFields> waiting_;
  bool warned_ = false;
};

}  // namespace echodiff
