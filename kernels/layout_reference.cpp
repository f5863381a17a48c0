#include "kernels/layout.h"

#include <algorithm>

namespace echodiff::reference {

template <class T>
void strided_copy(const CopyGeometry& geo, const T* from, T* to) {
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

template void strided_copy(const CopyGeometry&, const float*, float*);
template void strided_copy(const CopyGeometry&, const double*, double*);
template void strided_copy(const CopyGeometry&, const int64_t*, int64_t*);

}  // namespace echodiff::reference
