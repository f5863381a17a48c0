// loss, time_embedding
#include "cuda/host/kernel_case.h"
#include "kernels/loss.h"
#include "kernels/time_embedding.h"

namespace kernels_host {
namespace {

using namespace echodiff;

void losses(Run& run) {
  const int64_t n = 301;
  for (const Loss kind : {Loss::mse, Loss::l1, Loss::smooth_l1}) {
    for (const bool reduced : {true, false}) {
      const Array<float> x = run.normal<float>(n), target = run.normal<float>(n),
                         dy = run.normal<float>(reduced ? 1 : n);
      Array<float> y = run.unwritten<float>(n), dx = run.unwritten<float>(n);
      cuda::loss_forward(kind, 0.7, n, x.data(), target.data(), y.data(), nullptr);
      cuda::loss_backward(kind, 0.7, n, x.data(), target.data(), {dy.data(), reduced, 0.25}, dx.data(), nullptr);
      const Array<double> in = in_double(x), t = in_double(target), gradient = in_double(dy);
      Array<double> value(n), of_x(n);
      reference::loss_forward(kind, 0.7, n, in.data(), t.data(), value.data());
      reference::loss_backward(kind, 0.7, n, in.data(), t.data(), LossGradient<double>{gradient.data(), reduced, 0.25},
                               of_x.data());
      run.close("y", y, value);
      run.close("dx", dx, of_x);
    }
  }
}

void bces(Run& run) {
  const int64_t K = 7, n = 43 * K;
  const Array<float> x = run.normal<float>(n, 5), target = run.normal<float>(n), dy = run.normal<float>(n),
                     weight = run.normal<float>(n), pos = run.normal<float>(K);
  const Array<double> in = in_double(x), t = in_double(target), gradient = in_double(dy), w = in_double(weight),
                      p = in_double(pos);
  for (const bool weighted : {true, false}) {
    const BceGeometry<float> geo{n, K, 1, weighted ? weight.data() : nullptr, weighted ? pos.data() : nullptr};
    const BceGeometry<double> wide{n, K, 1, weighted ? w.data() : nullptr, weighted ? p.data() : nullptr};
    Array<float> y = run.unwritten<float>(n), dx = run.unwritten<float>(n);
    cuda::bce_forward(geo, x.data(), target.data(), y.data(), nullptr);
    cuda::bce_backward(geo, x.data(), target.data(), {dy.data(), false, 1}, dx.data(), nullptr);
    Array<double> value(n), of_x(n);
    reference::bce_forward(wide, in.data(), t.data(), value.data());
    reference::bce_backward(wide, in.data(), t.data(), LossGradient<double>{gradient.data(), false, 1}, of_x.data());
    run.close("y", y, value);
    run.close("dx", dx, of_x);
  }
}

void cross_entropies(Run& run) {
  const int64_t N = 5;
  for (const int64_t K : {2, 301}) {
    const Array<float> x = run.normal<float>(N * K, 3), dy = run.normal<float>(1);
    const Array<int64_t> classes = run.below(N, K);
    Array<float> y = run.unwritten<float>(N), dx = run.unwritten<float>(N * K);
    cuda::cross_entropy_forward(N, K, x.data(), classes.data(), y.data(), nullptr);
    cuda::cross_entropy_backward(N, K, x.data(), classes.data(), {dy.data(), true, 0.2}, dx.data(), nullptr);
    const Array<double> in = in_double(x), gradient = in_double(dy);
    Array<double> value(N), of_x(N * K);
    reference::cross_entropy_forward(N, K, in.data(), classes.data(), value.data());
    reference::cross_entropy_backward(N, K, in.data(), classes.data(), LossGradient<double>{gradient.data(), true, 0.2},
                                      of_x.data());
    run.close("y", y, value);
    run.close("dx", dx, of_x);
  }
}

void time_embeddings(Run& run) {
  for (const bool divide_last : {false, true}) {
    for (const int64_t dim : {64, 7}) {
      const TimeEmbeddingGeometry geo{5, dim, 10000, divide_last ? 0.0 : 1.0, divide_last, divide_last};
      const Array<int64_t> t = run.below(geo.N, 2000);
      Array<float> y = run.unwritten<float>(geo.N * dim), expected(geo.N * dim);
      cuda::time_embedding(geo, t.data(), y.data(), nullptr);
      reference::time_embedding(geo, t.data(), expected.data());
      run.close("y", y, in_double(expected), 1e-7);
    }
  }
}

}  // namespace

void add_loss_cases(KernelCases& cases) {
  cases.push_back({"loss", losses});
  cases.push_back({"loss bce", bces});
  cases.push_back({"loss cross_entropy", cross_entropies});
  cases.push_back({"time_embedding", time_embeddings});
}

}  // namespace kernels_host
