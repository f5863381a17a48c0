// Working memory of one thread inside a kernel: grows to the largest size ever asked for and is then reused, so a
// training step allocates nothing after the first. `Scratch` keeps the buffers of one kernel apart.
#pragma once

#include <cstdint>
#include <memory>

namespace echodiff {

enum class Scratch { packed_a, packed_b, edge, rows, tile, attention, sums, samples, products, weights, count };

// n uninitialised elements, 64-byte aligned. Valid until this thread asks for the same part again.
float* scratch(Scratch part, int64_t n);

}  // namespace echodiff
