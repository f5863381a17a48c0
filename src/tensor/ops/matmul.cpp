#include "kernels/gemm.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

struct MatmulGeometry {
  int64_t batch, M, N, K;
};

MatmulGeometry geometry_of(const Tensor& a, const Tensor& b) {
  check((a.rank() == 2 || a.rank() == 3) && a.rank() == b.rank() && a.dim(-1) == b.dim(-2) && (a.rank() == 2 || a.dim(0) == b.dim(0)),
        "matmul: expected (.., M, K) and (.., K, N) of equal rank 2 or 3 and equal batch, got ", a.shape(), " and ", b.shape());
  return {a.rank() == 3 ? a.dim(0) : 1, a.dim(-2), b.dim(-1), a.dim(-1)};
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  const MatmulGeometry g = geometry_of(a, b);
  Tensor y = empty(a.rank() == 3 ? Shape({g.batch, g.M, g.N}) : Shape({g.M, g.N}), a.dtype());
  dispatch(a.dtype(), "matmul", [&]<class T>(T) {
    T* out = y.mutable_data<T>();
    for (int64_t i = 0; i < g.batch; ++i)
      cpu::parallel_gemm(g.M, g.N, g.K, MatrixView<T>{a.data<T>() + i * g.M * g.K, g.K, 1},
                         MatrixView<T>{b.data<T>() + i * g.K * g.N, g.N, 1}, out + i * g.M * g.N, g.N, false);
  });
  return record("matmul", y, {a, b}, [=](const Tensor& dy) -> Gradients {  // da = dy b^T, db = a^T dy
    Tensor da, db;
    dispatch(a.dtype(), "matmul", [&]<class T>(T) {
      if (a.requires_grad()) {
        da = empty_like(a);
        T* out = da.mutable_data<T>();
        for (int64_t i = 0; i < g.batch; ++i)
          cpu::parallel_gemm(g.M, g.K, g.N, MatrixView<T>{dy.data<T>() + i * g.M * g.N, g.N, 1},
                             MatrixView<T>{b.data<T>() + i * g.K * g.N, 1, g.N}, out + i * g.M * g.K, g.K, false);
      }
      if (b.requires_grad()) {
        db = empty_like(b);
        T* out = db.mutable_data<T>();
        for (int64_t i = 0; i < g.batch; ++i)
          cpu::parallel_gemm(g.K, g.N, g.M, MatrixView<T>{a.data<T>() + i * g.M * g.K, 1, g.K},
                             MatrixView<T>{dy.data<T>() + i * g.M * g.N, g.N, 1}, out + i * g.K * g.N, g.N, false);
      }
    });
    return {da, db};
  });
}

}  // namespace echodiff
