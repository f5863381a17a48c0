// What TensorBoard reads: RUN/events.out.tfevents.TIME.HOST.PID, one for each process that worked in the run.
//
//   record   length (u64), crc of its bytes (u32), an event, crc of the event (u32); little-endian
//   crc      CRC-32C, turned right by 15 bits, plus 0xa282ead8
//   event    a protobuf of tensorflow/core/util/event.proto: wall_time, step, and a scalar or a PNG by its tag
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/io/file.h"
#include "train/log_fields.h"

namespace echodiff {

class EventFile {
 public:
  // Begins a file in the run directory. What older files say of later steps than first_step is to be forgotten, and the
  // new one says so. A disk that does not take an event ends the file, with one message to `warn`; the run goes on.
  // Throws Error kCannotCreate.
  EventFile(const std::string& run, int64_t first_step, std::function<void(const std::string&)> warn);

  // Every number of a line of log.jsonl, at its "step"; those of a list as NAME/0, NAME/1, ...
  void add(const LogFields& line);
  void add_png(int64_t step, const std::string& tag, std::string_view png, int64_t height, int64_t width);

 private:
  void write(std::string_view event);

  std::function<void(const std::string&)> warn_;
  std::optional<AppendedFile> file_;
};

uint32_t crc32c(std::string_view bytes);  // Castagnoli's polynomial

}  // namespace echodiff
