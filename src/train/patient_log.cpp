#include "train/patient_log.h"

#include "kernels/error.h"

namespace echodiff {

PatientLog::PatientLog(const std::string& path, int64_t keep_to_step, std::function<void(const std::string&)> warn)
    : path_(path), warn_(std::move(warn)), log_(std::in_place, path, keep_to_step) {}

void PatientLog::flush() {
  while (!waiting_.empty()) {
    // Opening again drops the line that the failed write left half written, if any.
    if (!log_) log_.emplace(path_, std::get<int64_t>(waiting_.front()[0].second));
    try {
      log_->write(waiting_.front());
    } catch (const Error&) {
      log_.reset();
      throw;
    }
    waiting_.pop_front();
  }
}

void PatientLog::write(int64_t step, const Fields& fields) {
  Fields line{{"step", step}};
  line.insert(line.end(), fields.begin(), fields.end());
  waiting_.push_back(std::move(line));
  try {
    flush();
    warned_ = false;
  } catch (const Error& error) {
    if (!warned_) warn_(std::string(error.what()) + "; the log waits, training goes on");
    warned_ = true;
  }
}

void PatientLog::finish() { flush(); }

}  // namespace echodiff
