#include "train/draws.h"

#include <numeric>
#include <utility>

#include "kernels/philox.h"

namespace echodiff {
namespace {

std::vector<int64_t> epoch_order(uint64_t seed, int64_t n, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed_of(seed, Draw::order), uint64_t(epoch));
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[size_t(i)], order[size_t(random.below(i + 1))]);
  return order;
}

}  // namespace

uint64_t seed_of(uint64_t seed, Draw draw) {
  const PhiloxBlock block = philox_block(seed, uint64_t(draw), 0, 0);
  return uint64_t(block[0]) << 32 | block[1];
}

std::vector<int64_t> draw_examples(uint64_t seed, int64_t n, int64_t first, int64_t count) {
  std::vector<int64_t> out, order;
  int64_t epoch = -1;
  for (int64_t k = first; k < first + count; ++k) {
    if (k / n != epoch) {
      epoch = k / n;
      order = epoch_order(seed, n, epoch);
    }
    out.push_back(order[size_t(k % n)]);
  }
  return out;
}

Tensor draw_times(uint64_t seed, Draw draw, int64_t first, int64_t count, int64_t T) {
  Tensor t = empty({count}, DType::i64);
  int64_t* values = t.mutable_data<int64_t>();
  for (int64_t n = 0; n < count; ++n) values[n] = Random(seed_of(seed, draw), uint64_t(first + n)).below(T);
  return t;
}

Tensor draw_noise(uint64_t seed, Draw draw, int64_t first, const Shape& shape, Device device) {
  std::vector<int64_t> streams(static_cast<size_t>(shape[0])), steps(streams.size(), 0);
  std::iota(streams.begin(), streams.end(), first);
  return normal_rows(shape, seed_of(seed, draw), streams, steps, device);
}

}  // namespace echodiff
