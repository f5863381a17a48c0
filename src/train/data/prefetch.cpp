#include "train/data/prefetch.h"

#include <array>
#include <cstring>
#include <future>
#include <memory>
#include <utility>

#include "kernels/cuda/backend.h"
#include "kernels/cuda/pinned_buffer.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

size_t bytes_of(const Tensor& x) { return size_t(x.count()) * sizeof(float); }

// Where one step's tensors are drawn to.
struct Place {
  std::vector<Tensor> drawn;
  std::vector<std::unique_ptr<cuda::PinnedBuffer>> buffers;  // of the same contents; none before the first step

  void fill() {
    for (size_t i = 0; i < buffers.size(); ++i) {
      check(bytes_of(drawn[i]) == buffers[i]->bytes(),
            "drawn_ahead: a step's tensors have other shapes than the first's");
      std::memcpy(buffers[i]->data(), drawn[i].data<float>(), bytes_of(drawn[i]));
    }
  }
};

// Two places in turn: one is drawn to while the device reads the other. CUDA is called by at() alone.
class Ahead {
 public:
  Ahead(StepTensors draw, int64_t count) : draw_(std::move(draw)), count_(count) {}

  std::vector<Tensor> at(int64_t n) {
    if (!drawing_.valid() || number_ != n) begin(n);
    drawing_.get();
    Place& place = places_[turn_];
    if (place.buffers.empty()) {
      std::vector<std::unique_ptr<cuda::PinnedBuffer>> made;  // all of them or none
      for (const Tensor& x : place.drawn) made.push_back(std::make_unique<cuda::PinnedBuffer>(bytes_of(x)));
      place.buffers = std::move(made);
      place.fill();
    }
    std::vector<Tensor> out;
    for (size_t i = 0; i < place.drawn.size(); ++i) {
      out.push_back(empty(place.drawn[i].shape(), DType::f32, Device::kCuda));
      place.buffers[i]->copy_to(out[i].mutable_data<float>(Device::kCuda), bytes_of(out[i]));
    }
    turn_ = 1 - turn_;
    if (n + 1 < count_) begin(n + 1);
    return out;
  }

 private:
  void begin(int64_t n) {
    if (drawing_.valid()) drawing_.wait();
    Place& place = places_[turn_];
    for (const std::unique_ptr<cuda::PinnedBuffer>& buffer : place.buffers) buffer->wait();
    number_ = n;
    drawing_ = std::async(std::launch::async, [this, n, &place] {
      place.drawn = draw_(n);
      place.fill();
    });
  }

  StepTensors draw_;
  int64_t count_;
  std::array<Place, 2> places_;
  size_t turn_ = 0;            // the place of the step under way
  int64_t number_ = 0;         // of that step
  std::future<void> drawing_;  // of it, with its errors; waits where it is destroyed, so before the rest
};

}  // namespace

StepTensors drawn_ahead(StepTensors draw, int64_t count, Device device) {
  if constexpr (cuda::kBuiltWithCuda) {
    if (device == Device::kCuda)
      return [ahead = std::make_shared<Ahead>(std::move(draw), count)](int64_t n) { return ahead->at(n); };
  }
  return draw;
}

}  // namespace echodiff
