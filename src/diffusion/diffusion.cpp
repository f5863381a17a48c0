#include "diffusion/diffusion.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

void check_batch(const char* what, const Schedule& schedule, const Tensor& x, const Tensor& t, const Tensor& noise) {
  check(x.rank() == 4 && x.shape() == noise.shape(), what, ": x_0 and noise must be one (N, C, H, W), got ", x.shape(),
        " and ", noise.shape());
  check(t.rank() == 1 && t.dim(0) == x.dim(0), what, ": t must be (", x.dim(0), "), got ", t.shape());
  for (int64_t n = 0; n < t.dim(0); ++n) {
    const int64_t step = t.data<int64_t>()[n];
    check(step >= 0 && step < schedule.T, what, ": t must be 0..", schedule.T - 1, ", got ", step);
  }
}

// out[n] = scale_a[t_n] a[n] + scale_b[t_n] b[n], the tables rounded to float.
Tensor mix(const Tensor& a, const std::vector<double>& scale_a, const Tensor& b, const std::vector<double>& scale_b,
           const Tensor& t, float sign_b) {
  const NoGrad no_grad;
  Tensor u = empty({a.dim(0), 1, 1, 1}), w = empty_like(u);
  for (int64_t n = 0; n < a.dim(0); ++n) {
    const size_t step = size_t(t.data<int64_t>()[n]);
    u.mutable_data<float>()[n] = float(scale_a[step]);
    w.mutable_data<float>()[n] = sign_b * float(scale_b[step]);
  }
  return a * u.to(a.device()) + b * w.to(a.device());
}

}  // namespace

Prediction parse_prediction(const std::string& name) {
  if (name == "eps") return Prediction::eps;
  if (name == "v") return Prediction::v;
  check_input(name == "x0", Fault::kUsage, "predict: expected eps, v or x0, found '", name, "'");
  return Prediction::x0;
}

std::string name_of(Prediction prediction) {
  return prediction == Prediction::eps ? "eps" : prediction == Prediction::v ? "v" : "x0";
}

Tensor q_sample(const Schedule& schedule, const Tensor& x_0, const Tensor& t, const Tensor& noise) {
  check_batch("q_sample", schedule, x_0, t, noise);
  return mix(x_0, schedule.sqrt_alphas_cumprod, noise, schedule.sqrt_one_minus_alphas_cumprod, t, 1);
}

Tensor training_target(const Schedule& schedule, Prediction prediction, const Tensor& x_0, const Tensor& t,
                       const Tensor& noise) {
  check_batch("training_target", schedule, x_0, t, noise);
  if (prediction == Prediction::eps) return noise.detach();
  if (prediction == Prediction::x0) return x_0.detach();
  return mix(noise, schedule.sqrt_alphas_cumprod, x_0, schedule.sqrt_one_minus_alphas_cumprod, t, -1);
}

Tensor loss_weights(const Schedule& schedule, Prediction prediction, const Tensor& t, double min_snr_gamma) {
  check(min_snr_gamma > 0, "loss_weights: min-SNR gamma must be positive, got ", min_snr_gamma);
  Tensor weights = empty({t.dim(0)});
  for (int64_t n = 0; n < t.dim(0); ++n) {
    const double snr = schedule.snr[size_t(t.data<int64_t>()[n])], clipped = std::min(snr, min_snr_gamma);
    const double by = prediction == Prediction::eps ? snr : prediction == Prediction::v ? snr + 1 : 1;
    weights.mutable_data<float>()[n] = float(clipped / by);
  }
  return weights;
}

Tensor loss_per_sample(const Schedule& schedule, Prediction prediction, const Tensor& output, const Tensor& target,
                       const Tensor& t, double min_snr_gamma) {
  const Tensor squares = mse_loss(output, target.detach(), Reduction::none);  // (N, C, H, W)
  const Tensor each = reshape(mean(squares, {1, 2, 3}), {output.dim(0)});     // (N)
  return mul(each, loss_weights(schedule, prediction, t, min_snr_gamma).to(output.dtype()).to(output.device()));  // (N)
}

Tensor diffusion_loss(const Schedule& schedule, Prediction prediction, const Tensor& output, const Tensor& target,
                      const Tensor& t, double min_snr_gamma) {
  return mean(loss_per_sample(schedule, prediction, output, target, t, min_snr_gamma));
}

}  // namespace echodiff
