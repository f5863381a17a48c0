#include "kernels/pixel_shuffle.h"

#include "kernels/grain.h"
#include "kernels/thread_pool.h"

namespace echodiff::reference {
namespace {

// body(small, large) for every pixel of the large picture: where its C channels start, at stride f f and at stride 1.
template <class Body> void for_pixels(PixelShuffleGeometry geo, const Body& body) {
  const int64_t f = geo.f, line = geo.W * geo.C * f * f;  // elements of one row of the small picture
  parallel_ranges(geo.N * geo.H, row_grain(line), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t p1 = 0; p1 < f; ++p1)
        for (int64_t w = 0; w < geo.W; ++w)
          for (int64_t p2 = 0; p2 < f; ++p2)
            body(row * line + w * geo.C * f * f + p1 * f + p2, ((row * f + p1) * geo.W * f + w * f + p2) * geo.C);
  });
}

}  // namespace

template <class T> void pixel_shuffle(PixelShuffleGeometry geo, const T* small, T* large) {
  for_pixels(geo, [=, ff = geo.f * geo.f](int64_t from, int64_t to) {
    for (int64_t c = 0; c < geo.C; ++c) large[to + c] = small[from + c * ff];
  });
}

template <class T> void pixel_unshuffle(PixelShuffleGeometry geo, const T* large, T* small) {
  for_pixels(geo, [=, ff = geo.f * geo.f](int64_t to, int64_t from) {
    for (int64_t c = 0; c < geo.C; ++c) small[to + c * ff] = large[from + c];
  });
}

template decltype(pixel_shuffle<float>) pixel_shuffle<float>;
template decltype(pixel_shuffle<double>) pixel_shuffle<double>;
template decltype(pixel_unshuffle<float>) pixel_unshuffle<float>;
template decltype(pixel_unshuffle<double>) pixel_unshuffle<double>;

}  // namespace echodiff::reference
