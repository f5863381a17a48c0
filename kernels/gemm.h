// C (M, N) = A (M, K) B (K, N), or C += A B. A and B are views with strides, so a transpose is a view.
// reference: plain loops, any type. cpu: register tiles (gemm_simd.h); an element of C is one sum over k in order, so
// it does not depend on M, N or the thread count.
#pragma once

#include <cstdint>

namespace echodiff {

template <class T> struct MatrixView {
  const T* data;
  int64_t row_stride, column_stride;  // in elements
};

namespace reference {
template <class T>
void gemm(int64_t M, int64_t N, int64_t K, MatrixView<T> a, MatrixView<T> b, T* c, int64_t ldc, bool accumulate) {
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      T sum = accumulate ? c[m * ldc + n] : T(0);
      for (int64_t k = 0; k < K; ++k)
        sum += a.data[m * a.row_stride + k * a.column_stride] * b.data[k * b.row_stride + n * b.column_stride];
      c[m * ldc + n] = sum;
    }
}
}  // namespace reference

namespace cpu {

// On the calling thread; for use inside a parallel_for body. One stride of A must be 1.
void gemm(int64_t M, int64_t N, int64_t K, MatrixView<float> a, MatrixView<float> b, float* c, int64_t ldc,
          bool accumulate);

// On all threads: C is cut into blocks, each summed by one thread.
void parallel_gemm(int64_t M, int64_t N, int64_t K, MatrixView<float> a, MatrixView<float> b, float* c, int64_t ldc,
                   bool accumulate);
inline void parallel_gemm(int64_t M, int64_t N, int64_t K, MatrixView<double> a, MatrixView<double> b, double* c,
                          int64_t ldc, bool accumulate) {
  reference::gemm(M, N, K, a, b, c, ldc, accumulate);
}

// B packed for the tiles: panel p holds columns [p * tile_columns, ..) as [K][tile_columns], zero beyond N.
int64_t packed_size(int64_t N, int64_t K);
void pack_columns(int64_t N, int64_t K, MatrixView<float> b, float* packed);
// gemm with such a B.
void gemm_packed(int64_t M, int64_t N, int64_t K, MatrixView<float> a, const float* packed, float* c, int64_t ldc,
                 bool accumulate);

}  // namespace cpu

namespace cuda {
class Context;  // cuda/context.h

// By cuBLASLt, T is float or Bfloat16; one stride of A and one of B must be 1. bias (N) is added to every row, or null.
template <class T>
void gemm(int64_t M, int64_t N, int64_t K, MatrixView<T> a, MatrixView<T> b, const T* bias, T* c, int64_t ldc,
          bool accumulate, Context&);
}  // namespace cuda
}  // namespace echodiff
