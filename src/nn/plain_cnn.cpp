#include "nn/plain_cnn.h"

#include "tensor/ops.h"

namespace echodiff {

PlainCnn::PlainCnn(const PlainCnnOptions& options, uint64_t seed) : options_(options), fc_(4 * options.width, 1) {
  int64_t in = options.in_channels;
  for (const int64_t times : {1, 2, 4, 4}) {
    const int64_t out = times * options.width;
    convs_.emplace_back(
        in, out,
        Conv2dLayerOptions{.kernel = 3, .stride = 2, .padding = 1, .bias = false, .init = Init::kaiming_fan_out});
    norms_.emplace_back(out);
    in = out;
  }
  initialise(seed);
}

Tensor PlainCnn::operator()(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(1) == options_.in_channels, "plain_cnn: x must be (N, ", options_.in_channels,
        ", H, W), got ", x.shape());
  Tensor h = x;
  for (size_t i = 0; i < convs_.size(); ++i) h = norms_[i].relu(convs_[i](h));
  return traced(fc_(reshape(adaptive_avg_pool2d(h, 1, 1), {x.dim(0), h.dim(1)})));
}

void PlainCnn::visit(Visitor& v) {
  v.child("convs", convs_);
  v.child("norms", norms_);
  v.child("fc", fc_);
}

}  // namespace echodiff
