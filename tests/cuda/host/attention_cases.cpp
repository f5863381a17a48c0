// attention, linear_attention
#include <cmath>

#include "cuda/host/kernel_case.h"
#include "kernels/attention.h"
#include "kernels/linear_attention.h"

namespace kernels_host {
namespace {

using namespace echodiff;

// Operands in three tensors, and in one matrix (B, L, 3 heads*d) with M tokens of memory before them.
AttentionGeometry separate(int64_t B, int64_t Lq, int64_t Lk, int64_t heads, int64_t d, double scale) {
  return {B, Lq, Lk, heads, d, scale, 0, heads * d, heads * d};
}
AttentionGeometry joined(int64_t B, int64_t L, int64_t M, int64_t heads, int64_t d, double scale) {
  return {B, L, L, heads, d, scale, M, 3 * heads * d, 3 * heads * d};
}

// An operand set of either kind and its gradients.
template <class T> struct Operands {
  AttentionGeometry geo;
  bool is_joined;
  Array<T> q, k, v, memory;  // q holds all three when joined

  Operands(const AttentionGeometry& geo, Run& run)
      : geo(geo),
        is_joined(geo.q_stride > geo.width()),
        q(run.normal<T>(geo.B * geo.Lq * geo.q_stride)),
        k(run.normal<T>(is_joined ? 0 : geo.B * geo.Lk * geo.width())),
        v(run.normal<T>(is_joined ? 0 : geo.B * geo.Lk * geo.width())),
        memory(run.normal<T>(2 * geo.M * geo.width())) {}
  // Of the same shape, for gradients or in another type.
  template <class Make>
  Operands(const AttentionGeometry& geo, bool is_joined, const Make& make)
      : geo(geo), is_joined(is_joined), q(make(0)), k(make(1)), v(make(2)), memory(make(3)) {}

  int64_t size(int i) const { return i == 0 ? q.size() : i == 1 ? k.size() : i == 2 ? v.size() : memory.size(); }
  const Array<T>& array(int i) const { return i == 0 ? q : i == 1 ? k : i == 2 ? v : memory; }
  AttentionInputs<T> inputs() const {
    if (!is_joined) return {q.data(), k.data(), v.data(), nullptr};
    return {q.data(), q.data() + geo.width(), q.data() + 2 * geo.width(), memory.data()};
  }
  AttentionGradients<T> gradients() {
    if (!is_joined) return {q.data(), k.data(), v.data(), nullptr};
    return {q.data(), q.data() + geo.width(), q.data() + 2 * geo.width(), memory.data()};
  }
};

template <class T> void close(Run& run, const Operands<T>& got, const Operands<double>& expected) {
  run.close(got.is_joined ? "dqkv" : "dq", got.q, expected.q);
  run.close("dk", got.k, expected.k);
  run.close("dv", got.v, expected.v);
  run.close("dmemory", got.memory, expected.memory);
}

template <class T> void attentions(Run& run, T) {
  for (const AttentionGeometry& geo :
       {separate(2, 35, 37, 2, 5, 0.4), separate(1, 3, 70, 1, 33, 0.17), separate(1, 65, 1, 1, 1, 1),
        joined(2, 33, 4, 2, 7, 0.4), joined(3, 5, 1, 1, 34, 0.2), joined(1, 31, 0, 2, 3, 0.5)}) {
    const int64_t outputs = geo.B * geo.Lq * geo.width(), rows = geo.B * geo.heads * geo.Lq;
    const Operands<T> in(geo, run);
    const Array<T> dy = run.normal<T>(outputs);
    Operands<T> out(geo, in.is_joined, [&](int i) { return run.unwritten<T>(in.size(i)); });
    Array<T> y = run.unwritten<T>(outputs);
    Array<float> lse = run.unwritten<float>(rows),
                 scratch = run.unwritten<float>(cuda::attention_backward_scratch(geo));
    cuda::attention_forward(geo, in.inputs(), y.data(), lse.data(), nullptr);
    cuda::attention_backward(geo, in.inputs(), y.data(), lse.data(), dy.data(), out.gradients(), scratch.data(),
                             nullptr);
    const Operands<double> exact(geo, in.is_joined, [&](int i) { return in_double(in.array(i)); });
    Operands<double> of(geo, in.is_joined, [&](int i) { return Array<double>(in.size(i)); });
    const Array<double> gradient = in_double(dy);
    Array<double> value(outputs);
    reference::attention_forward(geo, exact.inputs(), value.data());
    reference::attention_backward(geo, exact.inputs(), gradient.data(), of.gradients());
    run.close("y", y, value);
    close(run, out, of);
  }
}

template <class T> void linear_attentions(Run& run, T) {
  for (const AttentionGeometry& geo :
       {separate(2, 35, 37, 2, 5, 1 / std::sqrt(5.0)), separate(1, 9, 67, 1, 33, 1 / std::sqrt(33.0)),
        separate(1, 1, 1, 1, 1, 1), joined(2, 33, 4, 2, 7, 1 / std::sqrt(7.0)),
        joined(3, 5, 1, 1, 34, 1 / std::sqrt(34.0)), joined(1, 31, 0, 2, 3, 0.5)}) {
    const int64_t outputs = geo.B * geo.Lq * geo.width(), columns = geo.B * geo.width(), size = columns * geo.d;
    const Operands<T> in(geo, run);
    const Array<T> dy = run.normal<T>(outputs);
    Operands<T> out(geo, in.is_joined, [&](int i) { return run.unwritten<T>(in.size(i)); });
    Array<T> y = run.unwritten<T>(outputs);
    Array<float> largest = run.unwritten<float>(columns), total = run.unwritten<float>(columns),
                 context = run.unwritten<float>(size);
    Array<float> scratch = run.unwritten<float>(cuda::linear_attention_scratch(geo));
    Array<float> other_scratch = run.unwritten<float>(scratch.size());  // forward leaves nothing in it
    cuda::linear_attention_forward(geo, in.inputs(), {largest.data(), total.data(), context.data()}, y.data(),
                                   scratch.data(), nullptr);
    cuda::linear_attention_backward(geo, in.inputs(),
                                    LinearAttentionState<const float>{largest.data(), total.data(), context.data()},
                                    dy.data(), out.gradients(), other_scratch.data(), nullptr);
    const Operands<double> exact(geo, in.is_joined, [&](int i) { return in_double(in.array(i)); });
    Operands<double> of(geo, in.is_joined, [&](int i) { return Array<double>(in.size(i)); });
    const Array<double> gradient = in_double(dy);
    Array<double> most(columns), sum(columns), between(size), value(outputs);
    reference::linear_attention_forward(geo, exact.inputs(), {most.data(), sum.data(), between.data()}, value.data());
    reference::linear_attention_backward(geo, exact.inputs(),
                                         LinearAttentionState<const double>{most.data(), sum.data(), between.data()},
                                         gradient.data(), of.gradients());
    run.close("context", context, between);
    run.close("y", y, value);
    close(run, out, of);
  }
}

}  // namespace

void add_attention_cases(KernelCases& cases) {
  add_both(cases, "attention", [](Run& run, auto type) { attentions(run, type); });
  add_both(cases, "linear_attention", [](Run& run, auto type) { linear_attentions(run, type); });
}

}  // namespace kernels_host
