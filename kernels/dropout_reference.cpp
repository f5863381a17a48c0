#include "kernels/dropout.h"

#include <algorithm>

#include "kernels/grain.h"
#include "kernels/philox.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {

template <class T> void dropout(DropoutGeometry geo, const T* x, T* y) {
  const T scale = geo.p < 1 ? T(1 / (1 - geo.p)) : T(0);
  const int64_t blocks = (geo.count + 3) / 4;  // four elements share one block of random words
  parallel_ranges(blocks, kElementGrain / 4, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const PhiloxBlock words = philox_block(geo.seed, geo.stream, 0, uint64_t(block));
      for (int64_t i = 4 * block; i < std::min(geo.count, 4 * block + 4); ++i)
        y[i] = double(words[size_t(i % 4)]) * 0x1p-32 < geo.p ? T(0) : x[i] * scale;
    }
  });
}

template decltype(dropout<float>) dropout<float>;
template decltype(dropout<double>) dropout<double>;

}  // namespace echodiff::reference
