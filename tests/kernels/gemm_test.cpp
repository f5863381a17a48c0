// The register-tile product against Eigen's, for every combination of transposed views and sizes off the tile.
#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "kernels/philox.h"

namespace echodiff {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

Matrix random_matrix(int64_t rows, int64_t columns, uint64_t stream) {
  Matrix m(rows, columns);
  fill_normal(m.data(), rows * columns, 1, stream, 0);
  return m;
}

TEST(Gemm, EqualsEigen) {
  uint64_t stream = 0;
  for (const int64_t M : {1, 5, 6, 97, 130})
    for (const int64_t N : {1, 16, 19, 129})
      for (const int64_t K : {1, 8, 200})
        for (int transposed = 0; transposed < 4; ++transposed)
          for (const bool accumulate : {false, true}) {
            const Matrix a = random_matrix(M, K, ++stream), b = random_matrix(K, N, ++stream);
            const Matrix at = a.transpose(), bt = b.transpose();
            Matrix c = random_matrix(M, N, ++stream);
            const Matrix expected = accumulate ? Matrix(c + a * b) : Matrix(a * b);
            const MatrixView<float> left =
                transposed & 1 ? MatrixView<float>{at.data(), 1, M} : MatrixView<float>{a.data(), K, 1};
            const MatrixView<float> right =
                transposed & 2 ? MatrixView<float>{bt.data(), 1, K} : MatrixView<float>{b.data(), N, 1};
            cpu::parallel_gemm(M, N, K, left, right, c.data(), N, accumulate);
            ASSERT_LE((c - expected).cwiseAbs().maxCoeff(), 2e-6f * float(K) + 1e-6f)
                << M << " " << N << " " << K << " " << transposed;
          }
}

}  // namespace
}  // namespace echodiff
