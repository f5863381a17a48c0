// torchvision's resnet18. Its own names are ours.
#include "nn/torch_import/maps.h"

namespace echodiff {

const KeyMap& resnet18_map() {
  static const KeyMap map{"resnet18",
                          {
                              {"conv1.weight"},                                // 7x7, stride 2
                              {"bn1.{weight,bias,running_mean,running_var}"},  //
                              {"bn1.num_batches_tracked"},                     //
                              {"layer{1,2,3,4}.{0,1}.conv{1,2}.weight"},       // 3x3
                              {"layer{1,2,3,4}.{0,1}.bn{1,2}.*"},              //
                              {"layer{1,2,3,4}.0.downsample.0.weight"},        // 1x1, where the shape changes
                              {"layer{1,2,3,4}.0.downsample.1.*"},             // its norm
                              {"fc.{weight,bias}"},                            // (classes, 8 width)
                          },
                          {}};
  return map;
}

ResNet18Options infer_resnet18(const WeightShapes& weights) {
  return {.in_channels = weights.dim("conv1.weight", 1),
          .classes = weights.dim("fc.weight", 0),
          .width = weights.dim("conv1.weight", 0)};
}

}  // namespace echodiff
