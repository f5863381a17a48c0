#include "train/ema.h"

#include <algorithm>
#include <cmath>

#include "kernels/ema.h"
#include "kernels/thread_pool.h"
#include "tensor/autograd.h"
#include "tensor/dispatch.h"

namespace echodiff {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements a piece

}  // namespace

Ema::Ema(std::vector<NamedTensor> online, std::vector<NamedTensor> averaged, const EmaOptions& options)
    : online_(std::move(online)), averaged_(std::move(averaged)), options_(options) {
  check(online_.size() == averaged_.size(), "ema: ", online_.size(), " tensors and ", averaged_.size(), " averages");
  for (size_t i = 0; i < online_.size(); ++i)
    check(online_[i].name == averaged_[i].name, "ema: ", online_[i].name, " against ", averaged_[i].name);
  copy();
}

void Ema::copy() {
  const NoGrad no_grad;
  for (size_t i = 0; i < online_.size(); ++i) averaged_[i].tensor.copy_from(online_[i].tensor);
}

double Ema::decay() const {
  if (options_.power_gamma) return step_ == 0 ? 0 : std::pow(1 - 1 / double(step_), *options_.power_gamma + 1);
  const int64_t counted = std::max<int64_t>(0, step_ - options_.update_after_step - 1);
  if (counted == 0) return 0;
  const double value = 1 - std::pow(1 + double(counted) / options_.inv_gamma, -options_.power);
  return std::min(std::max(value, options_.min_value), options_.beta);
}

void Ema::update() {
  const int64_t before = step_++;
  if (before % options_.update_every != 0) return;
  if (before <= options_.update_after_step) return copy();
  const NoGrad no_grad;
  const float share = float(1 - decay());
  PoolVector<EmaTensor> tensors;
  PoolVector<int64_t> counts;
  Tensor first;  // says where they are
  for (size_t i = 0; i < online_.size(); ++i) {
    if (online_[i].tensor.dtype() == DType::i64) {
      averaged_[i].tensor.copy_from(online_[i].tensor);
      continue;
    }
    if (!first) first = online_[i].tensor;
    tensors.push_back({online_[i].tensor.data<float>(first.device()),
                       averaged_[i].tensor.mutable_data<float>(first.device()), online_[i].tensor.count()});
    counts.push_back(tensors.back().count);
  }
  if (tensors.empty()) return;
  on_device_of(
      first, "ema",
      [&] {
        for (const EmaTensor& tensor : tensors)
          parallel_ranges(tensor.count, kGrain,
                          [&](int64_t begin, int64_t end) { cpu::ema_update(share, tensor, begin, end); });
      },
      [&](DeviceCall& gpu) {
        const PoolVector<TensorChunk> chunks = tensor_chunks(counts);
        cuda::ema_update(share, gpu.table(tensors), gpu.table(chunks), int64_t(chunks.size()), gpu.stream());
      });
}

void Ema::load(const SafetensorsFile& file, const std::string& prefix, int64_t step) {
  const NoGrad no_grad;
  for (NamedTensor& entry : averaged_) {
    const Tensor& stored = file.at(prefix + entry.name);
    check_input(stored.shape() == entry.tensor.shape() && stored.dtype() == entry.tensor.dtype(), Fault::kBadInput,
                file.path, ": ", prefix, entry.name, " is ", stored.shape(), ", expected ", entry.tensor.shape(),
                "; it belongs to another network");
    entry.tensor.copy_from(stored);
  }
  step_ = step;
}

}  // namespace echodiff
