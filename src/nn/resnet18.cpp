#include "nn/resnet18.h"

namespace echodiff {
namespace {

Conv2dLayerOptions convolution(int64_t kernel, int64_t stride) {
  return {.kernel = kernel, .stride = stride, .padding = kernel / 2, .bias = false, .init = Init::kaiming_fan_out};
}

std::vector<BasicBlock> make_layer(int64_t in, int64_t out, int64_t stride) {
  std::vector<BasicBlock> blocks;
  blocks.emplace_back(in, out, stride);
  blocks.emplace_back(out, out, 1);
  return blocks;
}

}  // namespace

BasicBlock::BasicBlock(int64_t in, int64_t out, int64_t stride)
    : conv1_(in, out, convolution(3, stride)), bn1_(out), conv2_(out, out, convolution(3, 1)), bn2_(out) {
  if (stride == 1 && in == out) return;
  downsample_conv_.emplace(in, out, convolution(1, stride));
  downsample_bn_.emplace(out);
}

Tensor BasicBlock::operator()(const Tensor& x) const {
  const Tensor skip = downsample_conv_ ? (*downsample_bn_)((*downsample_conv_)(x)) : x;
  return traced(bn2_.relu(conv2_(bn1_.relu(conv1_(x))), skip));
}

void BasicBlock::visit(Visitor& v) {
  v.child("conv1", conv1_);
  v.child("bn1", bn1_);
  v.child("conv2", conv2_);
  v.child("bn2", bn2_);
  v.child("downsample.0", downsample_conv_);
  v.child("downsample.1", downsample_bn_);
}

ResNet18::ResNet18(const ResNet18Options& options, uint64_t seed)
    : options_(options),
      conv1_(options.in_channels, options.width, convolution(7, 2)),
      bn1_(options.width),
      layer1_(make_layer(options.width, options.width, 1)),
      layer2_(make_layer(options.width, 2 * options.width, 2)),
      layer3_(make_layer(2 * options.width, 4 * options.width, 2)),
      layer4_(make_layer(4 * options.width, 8 * options.width, 2)),
      fc_(8 * options.width, options.classes) {
  initialise(seed);
}

Tensor ResNet18::features(const Tensor& x) const {
  check(x.rank() == 4 && x.dim(1) == options_.in_channels, "resnet18: x must be (N, ", options_.in_channels,
        ", H, W), got ", x.shape());
  Tensor h = max_pool2d(bn1_.relu(conv1_(x)), {.kernel = 3, .stride = 2, .padding = 1});
  for (const std::vector<BasicBlock>* layer : {&layer1_, &layer2_, &layer3_, &layer4_})
    for (const BasicBlock& block : *layer) h = block(h);
  return traced("avgpool", reshape(adaptive_avg_pool2d(h, 1, 1), {x.dim(0), h.dim(1)}));
}

void ResNet18::visit(Visitor& v) {
  v.child("conv1", conv1_);
  v.child("bn1", bn1_);
  v.child("layer1", layer1_);
  v.child("layer2", layer2_);
  v.child("layer3", layer3_);
  v.child("layer4", layer4_);
  v.child("fc", fc_);
}

}  // namespace echodiff
