// pool, resize, pixel_shuffle
#include "cuda/host/kernel_case.h"
#include "kernels/pixel_shuffle.h"
#include "kernels/pool.h"
#include "kernels/resize.h"

namespace kernels_host {
namespace {

using namespace echodiff;

template <class T, class Allocator> Array<T> copied(const std::vector<T, Allocator>& from) {
  Array<T> out(int64_t(from.size()));
  for (int64_t i = 0; i < out.size(); ++i) out[i] = from[size_t(i)];
  return out;
}

template <class T> void max_pools(Run& run, T) {
  for (const MaxPoolGeometry& geo :
       {MaxPoolGeometry{2, 3, 7, 9, 4, 5, 3, 2, 1, 1}, MaxPoolGeometry{1, 2, 8, 7, 5, 4, 2, 1, 1, 3}}) {
    const int64_t in = geo.N * geo.H * geo.W * geo.C, out = geo.N * geo.P * geo.Q * geo.C;
    const Array<T> x = run.normal<T>(in), dy = run.normal<T>(out);
    Array<T> y = run.unwritten<T>(out), dx = run.unwritten<T>(in);
    Array<int64_t> index(out), expected_index(out);
    cuda::max_pool2d_forward(geo, x.data(), y.data(), index.data(), nullptr);
    cuda::max_pool2d_backward(geo, dy.data(), index.data(), dx.data(), nullptr);
    Array<double> value(out), of_x(in);
    reference::max_pool2d_forward(geo, in_double(x).data(), value.data(), expected_index.data());
    reference::max_pool2d_backward(geo, in_double(dy).data(), expected_index.data(), of_x.data());
    run.close("y", y, value, 0);
    run.equal("index", index, expected_index);
    run.close("dx", dx, of_x);
  }
}

struct AxisOnDevice {
  Array<int64_t> begin, end, divisor;
  explicit AxisOnDevice(const PoolAxis& axis)
      : begin(copied(axis.begin)), end(copied(axis.end)), divisor(copied(axis.divisor)) {}
};

template <class T> void avg_pools(Run& run, T) {
  const AvgPoolGeometry windows{2, 3, window_axis(7, 4, 3, 2, 1, false), window_axis(9, 5, 3, 2, 1, true)};
  const AvgPoolGeometry adaptive{1, 5, adaptive_axis(7, 3), adaptive_axis(5, 4)};
  for (const AvgPoolGeometry& geo : {windows, adaptive}) {
    const int64_t in = geo.N * geo.rows.in * geo.columns.in * geo.C,
                  out = geo.N * geo.rows.out * geo.columns.out * geo.C;
    const AxisOnDevice rows(geo.rows), columns(geo.columns);
    const cuda::PoolAxisView row_view{geo.rows.in, geo.rows.out, rows.begin.data(), rows.end.data(),
                                      rows.divisor.data()};
    const cuda::PoolAxisView column_view{geo.columns.in, geo.columns.out, columns.begin.data(), columns.end.data(),
                                         columns.divisor.data()};
    const Array<T> x = run.normal<T>(in), dy = run.normal<T>(out);
    Array<T> y = run.unwritten<T>(out), dx = run.unwritten<T>(in);
    cuda::avg_pool2d_forward(geo.N, geo.C, row_view, column_view, x.data(), y.data(), nullptr);
    cuda::avg_pool2d_backward(geo.N, geo.C, row_view, column_view, dy.data(), dx.data(), nullptr);
    Array<double> value(out), of_x(in);
    reference::avg_pool2d_forward(geo, in_double(x).data(), value.data());
    reference::avg_pool2d_backward(geo, in_double(dy).data(), of_x.data());
    run.close("y", y, value);
    run.close("dx", dx, of_x);
  }
}

template <class T> void resizes(Run& run, T) {
  for (const AxisTaps& taps :
       {nearest_taps(5, 9), bilinear_taps(7, 12, false), bilinear_taps(9, 4, true), bicubic_taps(6, 11, false),
        antialias_taps(11, 4, true), transpose(antialias_taps(11, 4, false))}) {
    const int64_t outer = 3, inner = 5;
    const Array<int64_t> begin = copied(taps.begin), index = copied(taps.index);
    const Array<double> weight = copied(taps.weight);
    Array<float> rounded(weight.size());
    for (int64_t i = 0; i < weight.size(); ++i) rounded[i] = float(weight[i]);
    const Array<T> x = run.normal<T>(outer * taps.in * inner);
    Array<T> y = run.unwritten<T>(outer * taps.out * inner);
    cuda::resize_axis({taps.in, taps.out, begin.data(), index.data(), rounded.data()}, outer, inner, x.data(), y.data(),
                      nullptr);
    Array<double> expected(outer * taps.out * inner);
    reference::resize_axis(taps, outer, inner, in_double(x).data(), expected.data());
    run.close("y", y, expected);
  }
}

template <class T> void upsamples(Run& run, T) {
  const Upsample2Geometry geo{2, 3, 5, 7};
  const int64_t n = geo.N * geo.C * geo.H * geo.W;
  const Array<T> x = run.normal<T>(n), dy = run.normal<T>(4 * n);
  Array<T> y = run.unwritten<T>(4 * n), dx = run.unwritten<T>(n);
  cuda::upsample_nearest2_forward(geo, x.data(), y.data(), nullptr);
  cuda::upsample_nearest2_backward(geo, dy.data(), dx.data(), nullptr);
  Array<double> value(4 * n), of_x(n);
  reference::upsample_nearest2_forward(geo, in_double(x).data(), value.data());
  reference::upsample_nearest2_backward(geo, in_double(dy).data(), of_x.data());
  run.close("y", y, value, 0);
  run.close("dx", dx, of_x);
}

template <class T> void shuffles(Run& run, T) {
  for (const PixelShuffleGeometry& geo : {PixelShuffleGeometry{2, 3, 5, 7, 2}, PixelShuffleGeometry{1, 2, 3, 1, 3}}) {
    const int64_t n = geo.N * geo.C * geo.H * geo.W * geo.f * geo.f;
    const Array<T> x = run.normal<T>(n);
    Array<T> large = run.unwritten<T>(n), small = run.unwritten<T>(n);
    cuda::pixel_shuffle(geo, x.data(), large.data(), nullptr);
    cuda::pixel_unshuffle(geo, x.data(), small.data(), nullptr);
    Array<double> expected_large(n), expected_small(n);
    reference::pixel_shuffle(geo, in_double(x).data(), expected_large.data());
    reference::pixel_unshuffle(geo, in_double(x).data(), expected_small.data());
    run.close("large", large, expected_large, 0);
    run.close("small", small, expected_small, 0);
  }
}

}  // namespace

void add_picture_cases(KernelCases& cases) {
  add_both(cases, "pool max", [](Run& run, auto type) { max_pools(run, type); });
  add_both(cases, "pool average", [](Run& run, auto type) { avg_pools(run, type); });
  add_both(cases, "resize axis", [](Run& run, auto type) { resizes(run, type); });
  add_both(cases, "resize upsample2", [](Run& run, auto type) { upsamples(run, type); });
  add_both(cases, "pixel_shuffle", [](Run& run, auto type) { shuffles(run, type); });
}

}  // namespace kernels_host
