// activation, cast, elementwise, reduce, softmax, layout, dropout
#include "cuda/host/kernel_case.h"
#include "kernels/activation.h"
#include "kernels/cast.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/layout.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace kernels_host {
namespace {

using namespace echodiff;

template <class T> void activations(Run& run, T) {
  const int64_t n = 517;
  for (const Activation kind :
       {Activation::silu, Activation::relu, Activation::gelu, Activation::gelu_tanh, Activation::sigmoid,
        Activation::tanh, Activation::softplus, Activation::leaky_relu, Activation::exp}) {
    const Array<T> x = run.normal<T>(n, 2), dy = run.normal<T>(n);
    Array<T> y = run.unwritten<T>(n), dx = run.unwritten<T>(n);
    cuda::activation_forward(kind, 0.1, n, x.data(), y.data(), nullptr);
    cuda::activation_backward(kind, 0.1, n, x.data(), dy.data(), dx.data(), nullptr);
    const Array<double> in = in_double(x), gradient = in_double(dy);
    Array<double> value(n), slope(n);
    reference::activation_forward(kind, double(0.1f), n, in.data(), value.data());
    reference::activation_backward(kind, double(0.1f), n, in.data(), gradient.data(), slope.data());
    run.close("y", y, value);
    run.close("dx", dx, slope);
  }
}

// (3, 5, 7) with b repeated along the middle, then a scalar b.
template <class T> void arithmetics(Run& run, T) {
  const BroadcastGeometry broadcast{{3, {35, 7, 35}}, {5, {7, 0, 7}}, {7, {1, 1, 1}}}, scalar{{105, {1, 0, 1}}};
  for (const BroadcastGeometry& geo : {broadcast, scalar}) {
    for (const Arithmetic kind : {Arithmetic::add, Arithmetic::sub, Arithmetic::mul, Arithmetic::div}) {
      const Array<T> a = run.normal<T>(105);
      Array<T> b = run.normal<T>(geo.size() == 1 ? 1 : 21);
      for (int64_t i = 0; i < b.size(); ++i)
        b[i] = T(float(b[i]) + (float(b[i]) < 0 ? -1.0f : 1.0f));  // no division by almost 0
      Array<T> y = run.unwritten<T>(105);
      cuda::arithmetic(kind, geo, a.data(), b.data(), y.data(), nullptr);
      const Array<double> left = in_double(a), right = in_double(b);
      Array<double> expected(105);
      reference::arithmetic(kind, geo, left.data(), right.data(), expected.data());
      run.close("y", y, expected);
    }
  }
}

template <class T> void affines(Run& run, T) {
  const Array<T> x = run.normal<T>(301);
  Array<T> y = run.unwritten<T>(301);
  cuda::affine(301, x.data(), 0.5, -2.0, y.data(), nullptr);
  const Array<double> in = in_double(x);
  Array<double> expected(301);
  reference::affine(301, in.data(), 0.5, -2.0, expected.data());
  run.close("y", y, expected);
}

template <class T> void channels(Run& run, T) {
  for (const ChannelGeometry& geo : {ChannelGeometry{2, 9, 5}, ChannelGeometry{3, 133, 33}, ChannelGeometry{1, 7, 1}}) {
    const int64_t n = geo.N * geo.pixels * geo.C;
    const Array<T> x = run.normal<T>(n), e = run.normal<T>(geo.N * geo.C), pair = run.normal<T>(geo.N * 2 * geo.C),
                   dy = run.normal<T>(n);
    Array<T> added = run.unwritten<T>(n), shifted = run.unwritten<T>(n), dx = run.unwritten<T>(n),
             de = run.unwritten<T>(2 * geo.N * geo.C);
    Array<float> scratch = run.unwritten<float>(cuda::scale_shift_backward_scratch(geo));
    cuda::add_channel(geo, x.data(), e.data(), added.data(), nullptr);
    cuda::scale_shift(geo, x.data(), pair.data(), false, shifted.data(), nullptr);
    cuda::scale_shift(geo, dy.data(), pair.data(), true, dx.data(), nullptr);
    cuda::scale_shift_backward(geo, x.data(), dy.data(), de.data(), scratch.data(), nullptr);
    const Array<double> in = in_double(x), offset = in_double(e), both = in_double(pair), gradient = in_double(dy);
    Array<double> expected(n), sums(2 * geo.N * geo.C);
    reference::add_channel(geo, in.data(), offset.data(), expected.data());
    run.close("add_channel", added, expected);
    reference::scale_shift(geo, in.data(), both.data(), false, expected.data());
    run.close("scale_shift", shifted, expected);
    reference::scale_shift(geo, gradient.data(), both.data(), true, expected.data());
    run.close("scale_shift dx", dx, expected);
    reference::scale_shift_backward(geo, in.data(), gradient.data(), sums.data());
    run.close("scale_shift de", de, sums, 1e-4);
  }
}

void casts(Run& run) {
  const Array<float> x = run.normal<float>(259);
  Array<Bfloat16> rounded = run.unwritten<Bfloat16>(259);
  Array<float> back = run.unwritten<float>(259);
  cuda::cast(259, x.data(), rounded.data(), nullptr);
  cuda::cast(259, static_cast<const Bfloat16*>(rounded.data()), back.data(), nullptr);
  run.close("rounded", rounded, in_double(x));
  run.close("back", back, in_double(rounded), 0);
}

template <class T> void reductions(Run& run, T) {
  const std::vector<ReduceGeometry> geometries{{{4099, true}},
                                               {{3, false}, {35, true}},
                                               {{301, true}, {13, false}},
                                               {{3, true}, {5, false}, {67, true}},
                                               {{2, false}, {3, true}, {5, false}, {7, true}, {3, false}, {2, true}},
                                               {{11, false}}};
  for (const ReduceGeometry& geo : geometries) {
    int64_t in = 1, out = 1;
    for (const ReduceDimension& dimension : geo) {
      in *= dimension.size;
      if (!dimension.reduced) out *= dimension.size;
    }
    const Array<T> x = run.normal<T>(in);
    Array<T> y = run.unwritten<T>(out);
    Array<double> scratch = run.unwritten<double>(cuda::reduce_scratch(geo));
    cuda::reduce_sum(geo, x.data(), 0.25, y.data(), scratch.data(), nullptr);
    const Array<double> values = in_double(x);
    Array<double> expected(out);
    reference::reduce_sum(geo, values.data(), 0.25, expected.data());
    run.close("y", y, expected, 1e-6);
  }
}

template <class T> void softmaxes(Run& run, T) {
  for (const SoftmaxGeometry& geo :
       {SoftmaxGeometry{3, 301, 1}, SoftmaxGeometry{2, 37, 45}, SoftmaxGeometry{2, 5, 3}, SoftmaxGeometry{1, 1, 1}}) {
    const int64_t n = geo.outer * geo.K * geo.inner;
    const Array<T> x = run.normal<T>(n, 3), dy = run.normal<T>(n);
    Array<T> y = run.unwritten<T>(n), dx = run.unwritten<T>(n);
    cuda::softmax_forward(geo, x.data(), y.data(), nullptr);
    cuda::softmax_backward(geo, y.data(), dy.data(), dx.data(), nullptr);
    const Array<double> in = in_double(x), gradient = in_double(dy), of_y = in_double(y);
    Array<double> value(n), slope(n);
    reference::softmax_forward(geo, in.data(), value.data());
    reference::softmax_backward(geo, of_y.data(), gradient.data(), slope.data());
    run.close("y", y, value, 2e-6);
    run.close("dx", dx, slope, 2e-6);
  }
}

template <class T> void copies(Run& run, T) {
  // permute (3, 5, 7) -> (7, 3, 5); a slice of columns; a part of a concat.
  const CopyGeometry permute{{7, {1, 15}}, {3, {35, 5}}, {5, {7, 1}}}, slice{{9, {11, 4}}, {4, {1, 1}}},
      concat{{9, {4, 11}}, {4, {1, 1}}};
  const Array<T> x = run.normal<T>(105), wide = run.normal<T>(8 * 11 + 4);
  Array<T> permuted = run.unwritten<T>(105), sliced = run.unwritten<T>(36), joined = run.normal<T>(8 * 11 + 4);
  const Array<double> before = in_double(joined);
  cuda::strided_copy(permute, x.data(), permuted.data(), nullptr);
  cuda::strided_copy(slice, wide.data(), sliced.data(), nullptr);
  cuda::strided_copy(concat, sliced.data(), joined.data(), nullptr);
  Array<double> expected(105), columns(36), whole = in_double(before);
  reference::strided_copy(permute, in_double(x).data(), expected.data());
  reference::strided_copy(slice, in_double(wide).data(), columns.data());
  reference::strided_copy(concat, columns.data(), whole.data());
  run.close("permute", permuted, expected, 0);
  run.close("slice", sliced, columns, 0);
  run.close("concat", joined, whole, 0);

  Array<const T*> parts(5);
  for (int64_t n = 0; n < 5; ++n) parts[n] = x.data() + (4 - n) * 21;
  Array<T> rows = run.unwritten<T>(105);
  cuda::concat_rows(parts.data(), 5, 21, rows.data(), nullptr);
  Array<double> reversed(105);
  for (int64_t i = 0; i < 105; ++i) reversed[i] = double(float(x[(4 - i / 21) * 21 + i % 21]));
  run.close("rows", rows, reversed, 0);
}

template <class T> void dropouts(Run& run, T) {
  const DropoutGeometry geo{1027, 0.3, 5, 77};
  const Array<T> x = run.normal<T>(geo.count);
  Array<T> y = run.unwritten<T>(geo.count);
  cuda::dropout(geo, x.data(), y.data(), nullptr);
  Array<double> expected(geo.count);
  reference::dropout(geo, in_double(x).data(), expected.data());
  run.close("y", y, expected);
}

}  // namespace

void add_elementwise_cases(KernelCases& cases) {
  add_both(cases, "activation", [](Run& run, auto type) { activations(run, type); });
  add_both(cases, "elementwise arithmetic", [](Run& run, auto type) { arithmetics(run, type); });
  add_both(cases, "elementwise affine", [](Run& run, auto type) { affines(run, type); });
  add_both(cases, "elementwise channels", [](Run& run, auto type) { channels(run, type); });
  cases.push_back({"cast", casts});
  add_both(cases, "reduce", [](Run& run, auto type) { reductions(run, type); });
  add_both(cases, "softmax", [](Run& run, auto type) { softmaxes(run, type); });
  add_both(cases, "layout", [](Run& run, auto type) { copies(run, type); });
  add_both(cases, "dropout", [](Run& run, auto type) { dropouts(run, type); });
}

}  // namespace kernels_host
