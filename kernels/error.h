// Errors as values a program can act on: every Error carries the exit code its program ends with.
// The lowest file of the project: everything may include it.
#pragma once

#include <source_location>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

namespace echodiff {

// The documented exit codes (sysexits.h where it has one).
enum class Fault {
  kUsage = 2,          // a flag or config key
  kBadInput = 65,      // an input is there, and wrong
  kMissingInput = 66,  // an input is not there
  kNoDevice = 69,      // no usable GPU
  kInternal = 70,      // a bug of ours, or a NaN
  kOutOfMemory = 71,
  kCannotCreate = 73,  // an output folder or file can't be made
  kIo = 74,            // a write failed: disk full, I/O error
  kLocked = 75,        // another process works in this run directory
};

class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message, std::source_location where = std::source_location::current())
      : std::runtime_error(message), fault_(fault), where_(where) {}
  Fault fault() const { return fault_; }
  const std::source_location& where() const { return where_; }

 private:
  Fault fault_;
  std::source_location where_;
};

// A condition that remembers where it was written (a default argument can't follow a parameter pack).
struct Condition {
  bool holds;
  std::source_location where;
  Condition(bool holds, std::source_location where = std::source_location::current()) : holds(holds), where(where) {}
};

template <class... Parts> std::string concat_message(Parts&&... parts) {
  std::ostringstream out;
  (out << ... << std::forward<Parts>(parts));
  return out.str();
}

// check(x > 0, "op: x must be positive, got ", x): throws Error(kInternal) with all parts joined.
template <class... Parts> void check(Condition condition, Parts&&... parts) {
  if (!condition.holds) throw Error(Fault::kInternal, concat_message(std::forward<Parts>(parts)...), condition.where);
}

// check_input(...): the same, for what a user gave: the program ends with the given fault's exit code.
template <class... Parts> void check_input(Condition condition, Fault fault, Parts&&... parts) {
  if (!condition.holds) throw Error(fault, concat_message(std::forward<Parts>(parts)...), condition.where);
}

}  // namespace echodiff
