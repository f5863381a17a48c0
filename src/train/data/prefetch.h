// What a training step is made from, drawn by a thread of its own while the step before it runs on the device.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/tensor.h"

namespace echodiff {

// The f32 tensors of step n.
using StepTensors = std::function<std::vector<Tensor>(int64_t n)>;

// draw(n) is on the CPU, a function of n alone, and of the same shapes for every n in 0..count-1. What comes back gives
// draw(n) on `device`, and there begins n + 1: into page-locked memory, from which the device takes it by itself. The
// host waits for a draw that isn't ready, and for the copy of step n - 1: it is at most two steps ahead of the device.
// Any n may be asked for; what was drawn ahead for another is thrown away. Rethrows what draw(n) threw.
// On the CPU it is `draw`: there is no idle core to draw ahead with.
StepTensors drawn_ahead(StepTensors draw, int64_t count, Device device);

}  // namespace echodiff
