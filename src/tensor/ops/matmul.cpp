#include "kernels/gemm.h"
#include "tensor/dispatch.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

struct MatmulGeometry {
  int64_t batch, M, N, K;
};

MatmulGeometry geometry_of(const Tensor& a, const Tensor& b) {
  check((a.rank() == 2 || a.rank() == 3) && a.rank() == b.rank() && a.dim(-1) == b.dim(-2) &&
            (a.rank() == 2 || a.dim(0) == b.dim(0)),
        "matmul: expected (.., M, K) and (.., K, N) of equal rank 2 or 3 and equal batch, got ", a.shape(), " and ",
        b.shape());
  return {a.rank() == 3 ? a.dim(0) : 1, a.dim(-2), b.dim(-1), a.dim(-1)};
}

struct Operand {
  const Tensor& matrices;
  bool transposed;
};

// Number i of a batch of (rows, columns), as the operand means them.
template <class T> MatrixView<T> view(const T* data, bool transposed, int64_t rows, int64_t columns, int64_t i) {
  data = element(data, i * rows * columns);
  return transposed ? MatrixView<T>{data, 1, rows} : MatrixView<T>{data, columns, 1};
}

// out (batch, M, N) = a (batch, M, K) b (batch, K, N)
void products(int64_t batch, int64_t M, int64_t N, int64_t K, const Operand& a, const Operand& b, Tensor& out) {
  dispatch(
      out, "matmul",
      [&]<class T>(T) {
        T* into = out.mutable_data<T>();
        for (int64_t i = 0; i < batch; ++i)
          cpu::parallel_gemm(M, N, K, view(a.matrices.data<T>(), a.transposed, M, K, i),
                             view(b.matrices.data<T>(), b.transposed, K, N, i), into + i * M * N, N, false);
      },
      [&]<class T>(DeviceCall& gpu) {
        for (int64_t i = 0; i < batch; ++i)
          cuda::gemm<T>(M, N, K, view(gpu.in<T>(a.matrices), a.transposed, M, K, i),
                        view(gpu.in<T>(b.matrices), b.transposed, K, N, i), nullptr, gpu.out<T>(out, i * M * N), N,
                        false, gpu.context());
      });
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  const MatmulGeometry g = geometry_of(a, b);
  Tensor y = empty(a.rank() == 3 ? Shape({g.batch, g.M, g.N}) : Shape({g.M, g.N}), a);
  products(g.batch, g.M, g.N, g.K, {a, false}, {b, false}, y);
  return record("matmul", y, {a, b}, [=](const Tensor& dy) -> Gradients {  // da = dy b^T, db = a^T dy
    Tensor da, db;
    if (a.requires_grad()) {
      da = empty_like(a);
      products(g.batch, g.M, g.K, g.N, {dy, false}, {b, true}, da);
    }
    if (b.requires_grad()) {
      db = empty_like(b);
      products(g.batch, g.K, g.N, g.M, {a, true}, {dy, false}, db);
    }
    return {da, db};
  });
}

}  // namespace echodiff
