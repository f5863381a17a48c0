// Work that a signal may end between two of its ops.
#pragma once

#include <optional>
#include <utility>

#include "cli/cli.h"
#include "tensor/device.h"
#include "tensor/observe.h"

namespace echodiff {

// false: a signal came, and the work ended in its midst; what it made is to be dropped. between_ops: ask after each op;
// else only the work itself may say so.
template <class Work> bool unless_stopped(bool between_ops, Work&& work) {
  std::optional<StopWhen> watch;
  if (between_ops) watch.emplace(interrupted);
  try {
    std::forward<Work>(work)();
    return true;
  } catch (const Stopped&) {
    return false;
  }
}
// On cuda a step is short: there the work goes on to its end.
template <class Work> bool unless_stopped(Device device, Work&& work) {
  return unless_stopped(device == Device::kCpu, std::forward<Work>(work));
}

}  // namespace echodiff
