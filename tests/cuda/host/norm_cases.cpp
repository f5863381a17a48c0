// group_norm, rms_norm, layer_norm, batch_norm
#include "cuda/host/kernel_case.h"
#include "kernels/activation.h"
#include "kernels/batch_norm.h"
#include "kernels/elementwise.h"
#include "kernels/group_norm.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"

namespace kernels_host {
namespace {

using namespace echodiff;

template <class T> void group_norms(Run& run, T) {
  for (const GroupNormGeometry& geo :
       {GroupNormGeometry{2, 6, 35, 3}, GroupNormGeometry{1, 33, 67, 1}, GroupNormGeometry{3, 4, 1, 2}}) {
    const int64_t n = geo.N * geo.pixels * geo.C, groups = geo.N * geo.G;
    const Array<T> x = run.normal<T>(n), dy = run.normal<T>(n), e = run.normal<T>(geo.N * 2 * geo.C);
    const Array<float> weight = run.normal<float>(geo.C), bias = run.normal<float>(geo.C);
    Array<T> y = run.unwritten<T>(n), dx = run.unwritten<T>(n);
    Array<float> mean = run.unwritten<float>(groups), rstd = run.unwritten<float>(groups);
    Array<float> dweight = run.unwritten<float>(geo.C), dbias = run.unwritten<float>(geo.C);
    Array<float> scratch = run.unwritten<float>(cuda::group_norm_backward_scratch(geo));
    cuda::group_norm_forward(geo, x.data(), weight.data(), bias.data(), 1e-5, y.data(), mean.data(), rstd.data(),
                             nullptr);
    cuda::group_norm_backward(geo, x.data(), weight.data(), mean.data(), rstd.data(), dy.data(), dx.data(),
                              dweight.data(), dbias.data(), scratch.data(), nullptr);
    const Array<double> in = in_double(x), w = in_double(weight), b = in_double(bias), gradient = in_double(dy);
    Array<double> value(n), m(groups), r(groups), of_x(n), of_weight(geo.C), of_bias(geo.C);
    reference::group_norm_forward(geo, in.data(), w.data(), b.data(), 1e-5, value.data(), m.data(), r.data());
    reference::group_norm_backward(geo, in.data(), w.data(), m.data(), r.data(), gradient.data(), of_x.data(),
                                   of_weight.data(), of_bias.data());
    run.close("y", y, value);
    run.close("mean", mean, m);
    run.close("rstd", rstd, r);
    run.close("dx", dx, of_x, 1e-4);
    run.close("dweight", dweight, of_weight, 1e-4);
    run.close("dbias", dbias, of_bias, 1e-4);

    const Array<double> modulation = in_double(e);
    for (const bool modulated : {true, false}) {
      const T* scale_shift = modulated ? e.data() : nullptr;
      Array<T> de = run.unwritten<T>(e.size());
      cuda::group_norm_silu_forward(geo, x.data(), weight.data(), bias.data(), scale_shift, 1e-5, y.data(), mean.data(),
                                    rstd.data(), nullptr);
      cuda::group_norm_silu_backward(geo, x.data(), weight.data(), bias.data(), scale_shift, mean.data(), rstd.data(),
                                     dy.data(), dx.data(), dweight.data(), dbias.data(),
                                     modulated ? de.data() : nullptr, scratch.data(), nullptr);
      const double* exact = modulated ? modulation.data() : nullptr;
      Array<double> of_e(e.size());
      reference::group_norm_silu_forward(geo, in.data(), w.data(), b.data(), exact, 1e-5, value.data(), m.data(),
                                         r.data());
      reference::group_norm_silu_backward(geo, in.data(), w.data(), b.data(), exact, m.data(), r.data(),
                                          gradient.data(), of_x.data(), of_weight.data(), of_bias.data(),
                                          modulated ? of_e.data() : nullptr);
      run.close("silu y", y, value);
      run.close("silu dx", dx, of_x, 1e-4);
      run.close("silu dweight", dweight, of_weight, sizeof(T) == 2 ? 5e-2 : 1e-4);  // from dh, rounded to T
      run.close("silu dbias", dbias, of_bias, sizeof(T) == 2 ? 5e-2 : 1e-4);
      if (modulated) run.close("de", de, of_e, 1e-4);
    }
  }
}

template <class T> void rms_norms(Run& run, T) {
  const int64_t N = 3;
  for (const auto& [pixels, C] : {std::pair<int64_t, int64_t>{7, 5}, {35, 65}, {1, 1}, {11, 32}}) {
    const int64_t rows = N * pixels, n = rows * C;
    Array<T> x = run.normal<T>(n);
    for (int64_t c = 0; c < C; ++c) x[c] = T(0.0f);  // a pixel under the floor
    const Array<T> dy = run.normal<T>(n), e = run.normal<T>(N * 2 * C);
    const Array<float> gain = run.normal<float>(C);
    Array<T> y = run.unwritten<T>(n), dx = run.unwritten<T>(n);
    Array<float> inverse = run.unwritten<float>(rows), dgain = run.unwritten<float>(C);
    const ChannelGeometry geo{N, pixels, C};
    Array<float> scratch = run.unwritten<float>(cuda::rms_norm_silu_backward_scratch(geo));
    cuda::rms_norm_forward(rows, C, x.data(), gain.data(), y.data(), inverse.data(), nullptr);
    cuda::rms_norm_backward(rows, C, x.data(), gain.data(), inverse.data(), dy.data(), dx.data(), dgain.data(),
                            scratch.data(), nullptr);
    const Array<double> in = in_double(x), g = in_double(gain), gradient = in_double(dy);
    Array<double> value(n), u(rows), of_x(n), of_gain(C);
    reference::rms_norm_forward(rows, C, in.data(), g.data(), value.data(), u.data());
    reference::rms_norm_backward(rows, C, in.data(), g.data(), u.data(), gradient.data(), of_x.data(), of_gain.data());
    run.close("y", y, value);
    run.close("inverse_norm", inverse, u);
    run.close("dx", dx, of_x, 1e-4);
    run.close("dgain", dgain, of_gain, 1e-4);

    const Array<double> modulation = in_double(e);
    for (const bool modulated : {true, false}) {
      const T* scale_shift = modulated ? e.data() : nullptr;
      Array<T> de = run.unwritten<T>(e.size());
      cuda::rms_norm_silu_forward(geo, x.data(), gain.data(), scale_shift, y.data(), inverse.data(), nullptr);
      cuda::rms_norm_silu_backward(geo, x.data(), gain.data(), scale_shift, inverse.data(), dy.data(), dx.data(),
                                   dgain.data(), modulated ? de.data() : nullptr, scratch.data(), nullptr);
      const double* exact = modulated ? modulation.data() : nullptr;
      Array<double> of_e(e.size());
      reference::rms_norm_silu_forward(geo, in.data(), g.data(), exact, value.data(), u.data());
      reference::rms_norm_silu_backward(geo, in.data(), g.data(), exact, u.data(), gradient.data(), of_x.data(),
                                        of_gain.data(), modulated ? of_e.data() : nullptr);
      run.close("silu y", y, value);
      run.close("silu dx", dx, of_x, 1e-4);
      run.close("silu dgain", dgain, of_gain, sizeof(T) == 2 ? 5e-2 : 1e-4);  // from dh, rounded to T
      if (modulated) run.close("de", de, of_e, 1e-4);
    }
  }
}

template <class T> void layer_norms(Run& run, T) {
  for (const LayerNormGeometry& geo : {LayerNormGeometry{5, 7}, LayerNormGeometry{37, 301}, LayerNormGeometry{1, 1}}) {
    for (const bool affine : {true, false}) {
      const int64_t n = geo.rows * geo.D;
      const Array<T> x = run.normal<T>(n), dy = run.normal<T>(n);
      const Array<float> weight = run.normal<float>(geo.D), bias = run.normal<float>(geo.D);
      Array<T> y = run.unwritten<T>(n), dx = run.unwritten<T>(n);
      Array<float> dweight = run.unwritten<float>(geo.D), dbias = run.unwritten<float>(geo.D);
      Array<double> mean = run.unwritten<double>(geo.rows), rstd = run.unwritten<double>(geo.rows);
      Array<double> scratch = run.unwritten<double>(cuda::layer_norm_backward_scratch(geo));
      cuda::layer_norm_forward(geo, x.data(), affine ? weight.data() : nullptr, affine ? bias.data() : nullptr, 1e-5,
                               y.data(), mean.data(), rstd.data(), nullptr);
      cuda::layer_norm_backward(geo, x.data(), affine ? weight.data() : nullptr, dy.data(), mean.data(), rstd.data(),
                                dx.data(), dweight.data(), dbias.data(), scratch.data(), nullptr);
      const Array<double> in = in_double(x), w = in_double(weight), b = in_double(bias), gradient = in_double(dy);
      Array<double> value(n), m(geo.rows), r(geo.rows), of_x(n), of_weight(geo.D), of_bias(geo.D);
      reference::layer_norm_forward(geo, in.data(), affine ? w.data() : nullptr, affine ? b.data() : nullptr, 1e-5,
                                    value.data(), m.data(), r.data());
      reference::layer_norm_backward(geo, in.data(), affine ? w.data() : nullptr, gradient.data(), m.data(), r.data(),
                                     of_x.data(), of_weight.data(), of_bias.data());
      run.close("y", y, value);
      run.close("dx", dx, of_x);
      run.close("dweight", dweight, of_weight);
      run.close("dbias", dbias, of_bias);
    }
  }
}

template <class T> void batch_norms(Run& run, T) {
  for (const BatchNormGeometry& geo : {BatchNormGeometry{35, 3}, BatchNormGeometry{131, 67}, BatchNormGeometry{2, 1}}) {
    const int64_t n = geo.rows * geo.C;
    const Array<T> x = run.normal<T>(n), dy = run.normal<T>(n);
    const Array<float> weight = run.normal<float>(geo.C), bias = run.normal<float>(geo.C);
    Array<double> mean = run.unwritten<double>(geo.C), var = run.unwritten<double>(geo.C), rstd(geo.C), m(geo.C),
                  v(geo.C);
    Array<double> scratch = run.unwritten<double>(cuda::batch_norm_scratch(geo));
    const Array<double> in = in_double(x), w = in_double(weight), b = in_double(bias), gradient = in_double(dy);
    cuda::batch_norm_statistics(geo, x.data(), mean.data(), var.data(), scratch.data(), nullptr);
    reference::batch_norm_statistics(geo, in.data(), m.data(), v.data());
    run.close("mean", mean, m, 1e-12);
    run.close("var", var, v, 1e-12);
    for (int64_t c = 0; c < geo.C; ++c) rstd[c] = 1 / std::sqrt(v[c] + 1e-5);
    Array<T> y = run.unwritten<T>(n);
    Array<double> value(n), of_x(n), of_weight(geo.C), of_bias(geo.C);
    cuda::batch_norm_forward(geo, x.data(), weight.data(), bias.data(), m.data(), rstd.data(), y.data(), nullptr);
    reference::batch_norm_forward(geo, in.data(), w.data(), b.data(), m.data(), rstd.data(), value.data());
    run.close("y", y, value);
    const Array<T> residual = run.normal<T>(n);
    const Array<double> added = in_double(residual);
    for (const bool has_residual : {true, false}) {
      cuda::batch_norm_relu_forward(geo, x.data(), weight.data(), bias.data(), m.data(), rstd.data(),
                                    has_residual ? residual.data() : nullptr, y.data(), nullptr);
      reference::batch_norm_relu_forward(geo, in.data(), w.data(), b.data(), m.data(), rstd.data(),
                                         has_residual ? added.data() : nullptr, value.data());
      run.close("relu y", y, value);
    }
    Array<float> running_mean = run.normal<float>(geo.C), running_var(geo.C);
    for (int64_t c = 0; c < geo.C; ++c) running_var[c] = 1 + std::fabs(running_mean[c]);
    Array<double> of_mean = in_double(running_mean), of_var = in_double(running_var), of_m = in_double(mean),
                  of_r = in_double(var);
    cuda::batch_norm_track(geo, 0.1, 1e-5, mean.data(), var.data(), running_mean.data(), running_var.data(), nullptr);
    reference::batch_norm_track(geo, 0.1, 1e-5, of_m.data(), of_r.data(), of_mean.data(), of_var.data());
    run.close("tracked rstd", var, of_r, 1e-12);
    run.close("running mean", running_mean, of_mean);
    run.close("running var", running_var, of_var);
    cuda::batch_norm_recall(geo.C, 1e-5, running_mean.data(), running_var.data(), mean.data(), var.data(), nullptr);
    reference::batch_norm_recall(geo.C, 1e-5, of_mean.data(), of_var.data(), of_m.data(), of_r.data());
    run.close("recalled mean", mean, of_m);
    run.close("recalled rstd", var, of_r);
    for (const bool training : {true, false}) {
      Array<T> dx = run.unwritten<T>(n);
      Array<float> dweight = run.unwritten<float>(geo.C), dbias = run.unwritten<float>(geo.C);
      cuda::batch_norm_backward(geo, training, x.data(), weight.data(), dy.data(), m.data(), rstd.data(), dx.data(),
                                dweight.data(), dbias.data(), scratch.data(), nullptr);
      reference::batch_norm_backward(geo, training, in.data(), w.data(), gradient.data(), m.data(), rstd.data(),
                                     of_x.data(), of_weight.data(), of_bias.data());
      run.close("dx", dx, of_x);
      run.close("dweight", dweight, of_weight);
      run.close("dbias", dbias, of_bias);
    }
  }
}

}  // namespace

void add_norm_cases(KernelCases& cases) {
  add_both(cases, "group_norm", [](Run& run, auto type) { group_norms(run, type); });
  add_both(cases, "rms_norm", [](Run& run, auto type) { rms_norms(run, type); });
  add_both(cases, "layer_norm", [](Run& run, auto type) { layer_norms(run, type); });
  add_both(cases, "batch_norm", [](Run& run, auto type) { batch_norms(run, type); });
}

}  // namespace kernels_host
