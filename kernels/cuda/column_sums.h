// totals[o, c] = sum over rows r of term(o, r, c): the one shape behind parameter gradients, batch statistics and
// reductions. Blocks sum fixed chunks of rows, a second kernel adds the chunks in order: no atomics, the same bits in
// each run.
//   Term    using Sum = float or double;  __device__ Sum operator()(int64_t o, int64_t r, int64_t c) const
//   Finish  __device__ void operator()(int64_t o, int64_t c, Sum total) const
#pragma once

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

struct ColumnShape {
  int64_t outer, rows, width;
};

// Neighbouring threads take neighbouring columns, as many as fit; the others share the rows.
struct ColumnTile {
  int64_t columns, rows;  // of one block: columns * rows threads
};
inline ColumnTile column_tile(int64_t width) {
  int64_t columns = 1;
  while (columns < 32 && columns < width) columns *= 2;
  return {columns, kBlockThreads / columns};
}

inline int64_t column_chunks(const ColumnShape& shape) {
  const int64_t rows = 8 * column_tile(shape.width).rows;
  return std::clamp<int64_t>((shape.rows + rows - 1) / rows, 1, 256);
}

// Elements of Sum that column_sums needs as scratch.
inline int64_t column_scratch(const ColumnShape& shape) { return shape.outer * shape.width * column_chunks(shape); }

template <class Term>
__global__ void column_partials(ColumnShape shape, int64_t chunks, Term term, typename Term::Sum* partials) {
  using Sum = typename Term::Sum;
  Sum* sums = dynamic_shared<Sum>();  // (blockDim.y, blockDim.x)
  const int64_t tiles = (shape.width + blockDim.x - 1) / blockDim.x;
  const int64_t c = int64_t(blockIdx.x) % tiles * blockDim.x + threadIdx.x;
  const int64_t chunk = int64_t(blockIdx.x) / tiles % chunks, o = int64_t(blockIdx.x) / tiles / chunks;
  const int64_t begin = shape.rows * chunk / chunks, end = shape.rows * (chunk + 1) / chunks;
  Sum sum = 0;
  if (c < shape.width)
    for (int64_t r = begin + threadIdx.y; r < end; r += blockDim.y) sum += term(o, r, c);
  const unsigned at = threadIdx.y * blockDim.x + threadIdx.x;
  sums[at] = sum;
  for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) sums[at] += sums[at + half * blockDim.x];
  }
  if (threadIdx.y == 0 && c < shape.width) partials[(o * chunks + chunk) * shape.width + c] = sums[at];
}

template <class Sum, class Finish>
__global__ void column_totals(int64_t n, int64_t width, int64_t chunks, const Sum* partials, Finish finish) {
  const int64_t i = thread_index();
  if (i >= n) return;
  const int64_t o = i / width, c = i % width;
  Sum total = 0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) total += partials[(o * chunks + chunk) * width + c];
  finish(o, c, total);
}

template <class Term, class Finish>
void column_sums(const ColumnShape& shape, Term term, Finish finish, typename Term::Sum* scratch, Stream stream) {
  using Sum = typename Term::Sum;
  if (shape.outer * shape.width == 0) return;
  const ColumnTile tile = column_tile(shape.width);
  const int64_t chunks = column_chunks(shape), tiles = (shape.width + tile.columns - 1) / tile.columns;
  launch(column_partials<Term>,
         {dim3(unsigned(shape.outer * chunks * tiles)), dim3(unsigned(tile.columns), unsigned(tile.rows)),
          size_t(kBlockThreads) * sizeof(Sum), stream},
         shape, chunks, term, scratch);
  launch_elements(column_totals<Sum, Finish>, shape.outer * shape.width, stream, shape.width, chunks, scratch, finish);
}

// A Finish that writes two parameters' gradients, each or neither: columns [0, C) and [C, 2C).
template <class Sum> struct StorePair {
  int64_t C;
  float *first, *second;  // either may be null
  __device__ void operator()(int64_t, int64_t c, Sum total) const {
    if (c < C) {
      if (first) first[c] = float(total);
    } else if (second) {
      second[c - C] = float(total);
    }
  }
};

}  // namespace echodiff::cuda
