// Networks as dweights import and verify run them against PyTorch's inputs.
#pragma once

#include "nn/denoiser.h"
#include "nn/torch_import/parity.h"

namespace echodiff {

// x holds the picture, then the masks. The network must outlive the result.
inline ParityNetwork parity_of(const Denoiser& network, const std::string& where) {
  return [&network, where](const Tensor& x, const Tensor& t, bool) {
    const DenoiserOptions& net = network.options();
    check_input(t.defined(), Fault::kBadInput, where, ": expected t (N), found none");
    check_input(x.dim(1) == net.image_channels + net.planes, Fault::kBadInput, where, ": x has ", x.dim(1),
                " channels, the network takes ", net.image_channels, " of a picture and ", net.planes, " masks");
    const Tensor picture = slice(x, 1, 0, net.image_channels);
    return network(picture, t, net.planes > 0 ? slice(x, 1, net.image_channels, x.dim(1)) : Tensor());
  };
}

}  // namespace echodiff
