// Work that a signal may end between two of its ops.
#pragma once

#include <optional>
#include <utility>

#include "cli/cli.h"
#include "tensor/device.h"
#include "tensor/observe.h"

namespace echodiff {

// false: a signal came, and the work ended in its midst; what it made is to be dropped. On cuda a step is short: there
// the work goes on to its end.
template <class Work> bool unless_stopped(Device device, Work&& work) {
  std::optional<StopWhen> watch;
  if (device == Device::kCpu) watch.emplace(interrupted);
  try {
    std::forward<Work>(work)();
    return true;
  } catch (const Stopped&) {
    return false;
  }
}

}  // namespace echodiff
