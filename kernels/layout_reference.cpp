#include "kernels/layout.h"

#include <algorithm>

namespace echodiff::reference {

template <class T> void strided_copy(const CopyGeometry& geo, const T* from, T* to) {
  StridedWalk<2>(geo).run(
      [&](const std::array<int64_t, 2>& offsets, int64_t size, const std::array<int64_t, 2>& strides) {
        const T* in = from + offsets[0];
        T* out = to + offsets[1];
        if (strides[0] == 1 && strides[1] == 1) {
          std::copy_n(in, size, out);
        } else {
          for (int64_t i = 0; i < size; ++i) out[i * strides[1]] = in[i * strides[0]];
        }
      });
}

template decltype(strided_copy<float>) strided_copy<float>;
template decltype(strided_copy<double>) strided_copy<double>;
template decltype(strided_copy<int64_t>) strided_copy<int64_t>;

}  // namespace echodiff::reference
