#include "kernels/loss.h"

#include <algorithm>
#include <cmath>

#include "kernels/grain.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {
namespace {

template <class F> void for_elements(int64_t n, F f) {
  parallel_ranges(n, kElementGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

template <class T> T sign(T v) { return v > 0 ? T(1) : v < 0 ? T(-1) : T(0); }

template <class T> T pos_weight_at(const BceGeometry<T>& geo, int64_t i) {
  return geo.pos_weight ? geo.pos_weight[i / geo.inner % geo.K] : T(1);
}

// log sum_k exp(x_k) of one row
template <class T> double log_sum_exp(const T* x, int64_t K) {
  const double max = double(*std::max_element(x, x + K));
  double sum = 0;
  for (int64_t k = 0; k < K; ++k) sum += std::exp(double(x[k]) - max);
  return max + std::log(sum);
}

}  // namespace

template <class T> void loss_forward(Loss kind, double beta, int64_t n, const T* x, const T* target, T* y) {
  const T b = T(beta);
  switch (kind) {
    case Loss::mse: return for_elements(n, [=](int64_t i) { y[i] = (x[i] - target[i]) * (x[i] - target[i]); });
    case Loss::l1: return for_elements(n, [=](int64_t i) { y[i] = std::abs(x[i] - target[i]); });
    case Loss::smooth_l1:
      return for_elements(n, [=](int64_t i) {
        const T d = std::abs(x[i] - target[i]);
        y[i] = d < b ? T(0.5) * d * d / b : d - T(0.5) * b;
      });
  }
}

template <class T>
void loss_backward(Loss kind, double beta, int64_t n, const T* x, const T* target, LossGradient<T> dy, T* dx) {
  const T b = T(beta);
  switch (kind) {
    case Loss::mse: return for_elements(n, [=](int64_t i) { dx[i] = 2 * (x[i] - target[i]) * dy.at(i); });
    case Loss::l1: return for_elements(n, [=](int64_t i) { dx[i] = sign(x[i] - target[i]) * dy.at(i); });
    case Loss::smooth_l1:
      return for_elements(n, [=](int64_t i) {
        const T d = x[i] - target[i];
        dx[i] = (std::abs(d) < b ? d / b : sign(d)) * dy.at(i);
      });
  }
}

template <class T> void bce_forward(BceGeometry<T> geo, const T* x, const T* target, T* y) {
  for_elements(geo.count, [=](int64_t i) {
    const T t = target[i], soft = std::log1p(std::exp(-std::abs(x[i]))) + std::max(-x[i], T(0));  // log(1 + exp(-x))
    const T loss = (1 - t) * x[i] + (1 + (pos_weight_at(geo, i) - 1) * t) * soft;
    y[i] = geo.weight ? geo.weight[i] * loss : loss;
  });
}

// d/dx = (1 - t + p t) sigmoid(x) - p t
template <class T> void bce_backward(BceGeometry<T> geo, const T* x, const T* target, LossGradient<T> dy, T* dx) {
  for_elements(geo.count, [=](int64_t i) {
    const T t = target[i], p = pos_weight_at(geo, i), e = std::exp(-std::abs(x[i]));
    const T sigmoid = (x[i] >= 0 ? T(1) : e) / (1 + e);
    dx[i] = ((1 + (p - 1) * t) * sigmoid - p * t) * (geo.weight ? geo.weight[i] : T(1)) * dy.at(i);
  });
}

template <class T> void cross_entropy_forward(int64_t N, int64_t K, const T* x, const int64_t* classes, T* y) {
  for (int64_t n = 0; n < N; ++n) y[n] = T(log_sum_exp(x + n * K, K) - double(x[n * K + classes[n]]));
}

template <class T>
void cross_entropy_backward(int64_t N, int64_t K, const T* x, const int64_t* classes, LossGradient<T> dy, T* dx) {
  for (int64_t n = 0; n < N; ++n) {
    const double normaliser = log_sum_exp(x + n * K, K);
    for (int64_t k = 0; k < K; ++k) {
      const double probability = std::exp(double(x[n * K + k]) - normaliser);
      dx[n * K + k] = T((probability - (k == classes[n] ? 1 : 0)) * double(dy.at(n)));
    }
  }
}

template decltype(loss_forward<float>) loss_forward<float>;
template decltype(loss_forward<double>) loss_forward<double>;
template decltype(loss_backward<float>) loss_backward<float>;
template decltype(loss_backward<double>) loss_backward<double>;
template decltype(bce_forward<float>) bce_forward<float>;
template decltype(bce_forward<double>) bce_forward<double>;
template decltype(bce_backward<float>) bce_backward<float>;
template decltype(bce_backward<double>) bce_backward<double>;
template decltype(cross_entropy_forward<float>) cross_entropy_forward<float>;
template decltype(cross_entropy_forward<double>) cross_entropy_forward<double>;
template decltype(cross_entropy_backward<float>) cross_entropy_backward<float>;
template decltype(cross_entropy_backward<double>) cross_entropy_backward<double>;

}  // namespace echodiff::reference
