// Space to channels and back (Shi et al. 2016, arXiv:1609.05158), channel order (c, p1, p2) as in PyTorch: channel
// c f f + p1 f + p2 of the small picture is channel c at offset (p1, p2) in the large one. Each is the other's
// gradient.
#pragma once

#include <cstdint>

#include "kernels/cuda/stream.h"

namespace echodiff {

struct PixelShuffleGeometry {
  int64_t N, C, H, W, f;  // C of the large picture, H and W of the small one
};

namespace reference {

// small (N, H, W, C f f) -> large (N, H f, W f, C)
template <class T> void pixel_shuffle(PixelShuffleGeometry geo, const T* small, T* large);
template <class T> void pixel_unshuffle(PixelShuffleGeometry geo, const T* large, T* small);

}  // namespace reference

namespace cuda {
template <class T> void pixel_shuffle(PixelShuffleGeometry geo, const T* small, T* large, Stream);
template <class T> void pixel_unshuffle(PixelShuffleGeometry geo, const T* large, T* small, Stream);
}  // namespace cuda
}  // namespace echodiff
