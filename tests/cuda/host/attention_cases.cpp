// attention, linear_attention
#include <cmath>

#include "cuda/host/kernel_case.h"
#include "kernels/attention.h"
#include "kernels/linear_attention.h"

namespace kernels_host {
namespace {

using namespace echodiff;

AttentionGeometry separate(int64_t B, int64_t Lq, int64_t Lk, int64_t heads, int64_t d, double scale) {
  return {B, Lq, Lk, heads, d, scale, 0, heads * d, heads * d};
}

template <class T>
void attentions(Run& run, T) {
  for (const AttentionGeometry& geo :
       {separate(2, 35, 37, 2, 5, 0.4), separate(1, 3, 70, 1, 33, 0.17), separate(1, 65, 1, 1, 1, 1)}) {
    const int64_t queries = geo.B * geo.Lq * geo.heads * geo.d, keys = geo.B * geo.Lk * geo.heads * geo.d,
                  rows = geo.B * geo.heads * geo.Lq;
    const Array<T> q = run.normal<T>(queries), k = run.normal<T>(keys), v = run.normal<T>(keys),
                   dy = run.normal<T>(queries);
    Array<T> y = run.unwritten<T>(queries), dq = run.unwritten<T>(queries), dk = run.unwritten<T>(keys),
             dv = run.unwritten<T>(keys);
    Array<float> lse = run.unwritten<float>(rows), delta = run.unwritten<float>(rows);
    cuda::attention_forward(geo, q.data(), k.data(), v.data(), y.data(), lse.data(), nullptr);
    cuda::attention_backward(geo, q.data(), k.data(), v.data(), y.data(), lse.data(), dy.data(), delta.data(),
                             dq.data(), dk.data(), dv.data(), nullptr);
    const Array<double> a = in_double(q), b = in_double(k), c = in_double(v), gradient = in_double(dy);
    Array<double> value(queries), of_q(queries), of_k(keys), of_v(keys);
    const AttentionInputs<double> inputs{a.data(), b.data(), c.data(), nullptr};
    reference::attention_forward(geo, inputs, value.data());
    reference::attention_backward(geo, inputs, gradient.data(), {of_q.data(), of_k.data(), of_v.data(), nullptr});
    run.close("y", y, value);
    run.close("dq", dq, of_q);
    run.close("dk", dk, of_k);
    run.close("dv", dv, of_v);
  }
}

template <class T>
void linear_attentions(Run& run, T) {
  for (const AttentionGeometry& geo : {separate(2, 35, 37, 2, 5, 1 / std::sqrt(5.0)), separate(1, 9, 67, 1, 33, 1 / std::sqrt(33.0)),
                                       separate(1, 1, 1, 1, 1, 1)}) {
    const int64_t queries = geo.B * geo.Lq * geo.heads * geo.d, keys = geo.B * geo.Lk * geo.heads * geo.d,
                  size = geo.B * geo.heads * geo.d * geo.d;
    const Array<T> q = run.normal<T>(queries), k = run.normal<T>(keys), v = run.normal<T>(keys),
                   dy = run.normal<T>(queries);
    Array<T> qs = run.unwritten<T>(queries), ks = run.unwritten<T>(keys), y = run.unwritten<T>(queries);
    Array<T> dq = run.unwritten<T>(queries), dk = run.unwritten<T>(keys), dv = run.unwritten<T>(keys);
    Array<float> context = run.unwritten<float>(size),
                 scratch = run.unwritten<float>(cuda::linear_attention_scratch(geo));
    cuda::linear_attention_forward(geo, q.data(), k.data(), v.data(), qs.data(), ks.data(), context.data(), y.data(),
                                   scratch.data(), nullptr);
    cuda::linear_attention_backward(geo, qs.data(), ks.data(), v.data(), context.data(), dy.data(), dq.data(),
                                    dk.data(), dv.data(), scratch.data(), nullptr);
    const Array<double> a = in_double(q), b = in_double(k), c = in_double(v), gradient = in_double(dy);
    Array<double> largest(geo.B * geo.width()), total(geo.B * geo.width()), between(size);
    Array<double> value(queries), of_q(queries), of_k(keys), of_v(keys);
    const AttentionInputs<double> inputs{a.data(), b.data(), c.data(), nullptr};
    reference::linear_attention_forward(geo, inputs, {largest.data(), total.data(), between.data()}, value.data());
    reference::linear_attention_backward(geo, inputs, LinearAttentionState<const double>{largest.data(), total.data(), between.data()},
                                         gradient.data(), {of_q.data(), of_k.data(), of_v.data(), nullptr});
    run.close("context", context, between, sizeof(T) == 2 ? 2e-2 : 2e-5);
    run.close("y", y, value);
    run.close("dq", dq, of_q);
    run.close("dk", dk, of_k);
    run.close("dv", dv, of_v);
  }
}

}  // namespace

void add_attention_cases(KernelCases& cases) {
  add_both(cases, "attention", [](Run& run, auto type) { attentions(run, type); });
  add_both(cases, "linear_attention", [](Run& run, auto type) { linear_attentions(run, type); });
}

}  // namespace kernels_host
