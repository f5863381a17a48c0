#include "nn/value_net.h"

#include "tensor/ops.h"

namespace echodiff {
namespace {

constexpr int64_t kTimeDim = 16;  // the embedding has 4 times as many

}  // namespace

ValueNet::ValueNet(const ValueNetOptions& options, uint64_t seed)
    : options_(options),
      conv1_(options.in_channels, options.width,
             {.kernel = 5, .stride = 2, .padding = 2, .bias = false, .init = Init::kaiming_fan_out}),
      bn1_(options.width),
      time_mlp_(kTimeDim, TimeMlpStyle::guided),
      fc_(4 * options.width, 1) {
  int64_t in = options.width;
  for (const int64_t times : {1, 2, 4}) {
    const int64_t out = times * options.width;
    blocks_.emplace_back(in, out, in == out ? 1 : 2);
    films_.emplace_back(4 * kTimeDim, 2 * out);
    in = out;
  }
  initialise(seed);
}

Tensor ValueNet::operator()(const Tensor& x, const Tensor& level) const {
  check(x.rank() == 4 && x.dim(1) == options_.in_channels, "value_net: x must be (N, ", options_.in_channels,
        ", H, W), got ", x.shape());
  const Tensor time = silu(time_mlp_(level));  // (N, 4 kTimeDim)
  Tensor h = bn1_.relu(conv1_(x));             // (N, width, H/2, W/2)
  for (size_t i = 0; i < blocks_.size(); ++i) h = scale_shift(blocks_[i](h), films_[i](time));
  return traced(fc_(reshape(adaptive_avg_pool2d(h, 1, 1), {x.dim(0), h.dim(1)})));
}

void ValueNet::visit(Visitor& v) {
  v.child("conv1", conv1_);
  v.child("bn1", bn1_);
  v.child("time_mlp", time_mlp_);
  v.child("blocks", blocks_);
  v.child("films", films_);
  v.child("fc", fc_);
}

}  // namespace echodiff
