// Sums over many rows on all threads: each chunk in float, the chunks in order, in double. The chunks follow from the
// rows alone, so the result does not depend on the threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/scratch.h"
#include "kernels/thread_pool.h"

namespace echodiff::cpu {

// totals[0, width) = the sum over chunks of what add(first row, rows, sums) adds to `sums` (width), zeroed. Working
// memory: Scratch::sums.
template <class Add> void sum_chunks(int64_t rows, int64_t chunk_rows, int64_t width, double* totals, const Add& add) {
  const int64_t chunks = (rows + chunk_rows - 1) / chunk_rows;
  float* parts = scratch(Scratch::sums, chunks * width);
  parallel_for(chunks, [&](int64_t chunk) {
    std::fill_n(parts + chunk * width, width, 0.0f);
    add(chunk * chunk_rows, std::min(chunk_rows, rows - chunk * chunk_rows), parts + chunk * width);
  });
  std::fill_n(totals, width, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk)
    for (int64_t c = 0; c < width; ++c) totals[c] += double(parts[chunk * width + c]);
}

}  // namespace echodiff::cpu
