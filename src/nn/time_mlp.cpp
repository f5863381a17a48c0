#include "nn/time_mlp.h"

namespace echodiff {

TimeMlp::TimeMlp(int64_t dim, TimeMlpStyle style)
    : dim_(dim), style_(style), first_(dim, 4 * dim), second_(4 * dim, 4 * dim) {}

Tensor TimeMlp::operator()(const Tensor& t) const {
  const DType dtype = first_.dtype();
  if (style_ == TimeMlpStyle::lucidrains) {
    const Tensor embedding = traced("0", time_embedding(t, dim_).to(dtype));  // (N, dim)
    return traced(second_(traced("2", gelu(first_(embedding)))));
  }
  const Tensor embedding = time_embedding(t, dim_, {.cos_first = true, .freq_shift = 0, .divide_last = true}).to(dtype);
  return traced(second_(traced("1", silu(first_(embedding)))));
}

void TimeMlp::visit(Visitor& v) {
  const bool lucidrains = style_ == TimeMlpStyle::lucidrains;
  v.child(lucidrains ? "1" : "0", first_);
  v.child(lucidrains ? "3" : "2", second_);
}

}  // namespace echodiff
