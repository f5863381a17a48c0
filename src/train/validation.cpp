#include "train/validation.h"

#include <algorithm>

#include "kernels/philox.h"
#include "tensor/autograd.h"
#include "train/draws.h"

namespace echodiff {

Validation validate(Denoiser& network, const Schedule& schedule, Prediction prediction, const Loader& held_out,
                    uint64_t seed, int64_t count) {
  const NoGrad no_grad;
  const bool was_training = network.training();
  const Device device = network.device();
  network.eval();
  Validation result{0, std::vector<double>(size_t(kValidationBins), 0.0)};
  const int64_t pictures = std::min(count, held_out.size());
  for (int64_t picture = 0; picture < pictures; ++picture) {  // a batch is one picture at all noise levels
    const Batch batch = held_out.gather(std::vector<int64_t>(size_t(kValidationBins), picture));
    const int64_t first = picture * kValidationBins;
    Tensor t = empty({kValidationBins}, DType::i64);
    for (int64_t bin = 0; bin < kValidationBins; ++bin) {
      const int64_t low = bin * schedule.T / kValidationBins, high = (bin + 1) * schedule.T / kValidationBins;
      Random random(seed_of(seed, Draw::val_time), uint64_t(first + bin));
      t.mutable_data<int64_t>()[bin] = std::min(schedule.T - 1, low + random.below(std::max<int64_t>(1, high - low)));
    }
    const Tensor noise = draw_noise(seed, Draw::val_noise, first, batch.x_0.shape());
    const Tensor x_t = q_sample(schedule, batch.x_0, t, noise).to(device);
    const Tensor output = network(x_t, t, batch.condition.to(device)).to(Device::kCpu);
    const Tensor target = training_target(schedule, prediction, batch.x_0, t, noise);
    for (int64_t bin = 0; bin < kValidationBins; ++bin) {
      const int64_t pixels = target.count() / kValidationBins;
      const float *y = output.data<float>() + bin * pixels, *wanted = target.data<float>() + bin * pixels;
      double sum = 0;
      for (int64_t i = 0; i < pixels; ++i) sum += double(y[i] - wanted[i]) * double(y[i] - wanted[i]);
      result.bins[size_t(bin)] += sum / double(pixels * pictures);
    }
  }
  for (const double bin : result.bins) result.loss += bin / double(kValidationBins);
  network.train(was_training);
  return result;
}

}  // namespace echodiff
