#include "nn/spade.h"

namespace echodiff {
namespace {

constexpr int64_t kGroups = 32, kHidden = 128;
constexpr Conv2dLayerOptions kConv3{.kernel = 3, .padding = 1};

}  // namespace

Spade::Spade(int64_t channels, int64_t planes)
    : shared_(planes, kHidden, kConv3), gamma_(kHidden, channels, kConv3), beta_(kHidden, channels, kConv3) {
  check_input(channels % kGroups == 0, Fault::kUsage, "spade: ", channels, " channels are not a multiple of ", kGroups,
              " groups; choose a width that is");
}

Tensor Spade::operator()(const Tensor& x, const Tensor& masks) const {
  const int64_t C = x.dim(1);
  const DType dtype = gamma_.dtype();
  const Tensor normal = group_norm(x, kGroups, full({C}, 1, dtype, x.device()), zeros({C}, dtype, x.device()));
  const bool fits = masks.dim(2) == x.dim(2) && masks.dim(3) == x.dim(3);
  const Tensor hidden = relu(shared_(fits ? masks : resize(masks, x.dim(2), x.dim(3))));  // (N, 128, H, W)
  return traced(normal * (gamma_(hidden) + 1.0) + beta_(hidden));
}

void Spade::visit(Visitor& v) {
  v.child("mlp_shared.0", shared_);
  v.child("mlp_gamma", gamma_);
  v.child("mlp_beta", beta_);
}

}  // namespace echodiff
