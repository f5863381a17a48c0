#include "train/optimizer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numbers>
#include <numeric>

#include "kernels/adam.h"
#include "kernels/clip_gradients.h"
#include "kernels/thread_pool.h"
#include "tensor/autograd.h"
#include "tensor/dispatch.h"

namespace echodiff {
namespace {

constexpr int64_t kGrain = 1 << 15;  // elements a piece

std::vector<Tensor> zeros_like(const std::vector<NamedTensor>& parameters) {
  std::vector<Tensor> out;
  for (const NamedTensor& parameter : parameters)
    out.push_back(zeros(parameter.tensor.shape(), DType::f32, parameter.tensor.device()));
  return out;
}

void append_state(const std::string& kind, const std::vector<NamedTensor>& parameters,
                  const std::vector<Tensor>& values, std::vector<NamedTensor>* out) {
  for (size_t i = 0; i < values.size(); ++i) out->push_back({kind + "." + parameters[i].name, values[i]});
}

void load_tensors(const SafetensorsFile& file, const std::string& prefix, const std::vector<NamedTensor>& parameters,
                  std::vector<Tensor>* values) {
  for (size_t i = 0; i < values->size(); ++i) {
    const std::string name = prefix + "." + parameters[i].name;
    const Tensor& stored = file.at(name);
    Tensor& value = (*values)[i];
    check_input(stored.shape() == value.shape() && stored.dtype() == value.dtype(), Fault::kBadInput, file.path, ": ",
                name, " is ", stored.shape(), " ", name_of(stored.dtype()), ", expected ", value.shape(), " ",
                name_of(value.dtype()), "; it belongs to another network");
    value.copy_from(stored);
  }
}

int64_t load_step(const SafetensorsFile& file, const std::string& name) {
  const Tensor& step = file.at(name);
  check_input(step.dtype() == DType::i64 && step.count() == 1 && step.item() >= 0, Fault::kBadInput, file.path, ": ",
              name, " is not a step count");
  return int64_t(step.item());
}

// Of one launch over all of them.
template <class TensorOfOp> PoolVector<TensorChunk> chunks_of(const PoolVector<TensorOfOp>& tensors) {
  PoolVector<int64_t> counts;
  for (const TensorOfOp& tensor : tensors) counts.push_back(tensor.count);
  return tensor_chunks(counts);
}

// The squares of one more gradient, in a fixed order.
double plus_squares(double sum, const GradientTensor& tensor) {
  PoolVector<double> partial(size_t((tensor.count + kGrain - 1) / kGrain), 0.0);
  parallel_ranges(tensor.count, kGrain, [&](int64_t begin, int64_t end) {
    partial[size_t(begin / kGrain)] = reference::gradient_squares(tensor, begin, end);
  });
  return std::accumulate(partial.begin(), partial.end(), sum);
}

}  // namespace

Adam::Adam(std::vector<NamedTensor> parameters, const AdamOptions& options)
    : parameters_(std::move(parameters)),
      options_(options),
      exp_avg_(zeros_like(parameters_)),
      exp_avg_sq_(zeros_like(parameters_)) {
  if (options_.amsgrad) max_exp_avg_sq_ = zeros_like(parameters_);
}

void Adam::step(double learning_rate) {
  const NoGrad no_grad;
  ++step_;
  const double correction1 = 1 - std::pow(options_.beta1, double(step_));
  const double correction2 = 1 - std::pow(options_.beta2, double(step_));
  const AdamCoefficients by{.step_size = float(learning_rate / correction1),
                            .root2 = float(std::sqrt(correction2)),
                            .beta2 = float(options_.beta2),
                            .share1 = float(1 - options_.beta1),
                            .share2 = float(1 - options_.beta2),
                            .eps = float(options_.eps),
                            .l2 = options_.decoupled ? 0 : float(options_.weight_decay),
                            .kept = options_.decoupled ? float(1 - learning_rate * options_.weight_decay) : 1};
  PoolVector<AdamTensor> tensors;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor gradient = parameters_[i].tensor.grad();
    if (!gradient) continue;
    const Device device = parameters_[i].tensor.device();
    tensors.push_back({.gradient = gradient.data<float>(device),
                       .theta = parameters_[i].tensor.mutable_data<float>(device),
                       .exp_avg = exp_avg_[i].mutable_data<float>(device),
                       .exp_avg_sq = exp_avg_sq_[i].mutable_data<float>(device),
                       .max_exp_avg_sq = options_.amsgrad ? max_exp_avg_sq_[i].mutable_data<float>(device) : nullptr,
                       .rounded = nullptr,
                       .count = gradient.count()});
  }
  if (tensors.empty()) return;
  on_device_of(
      parameters_[0].tensor, "adam",
      [&] {
        std::atomic<bool> finite{finite_};
        for (const AdamTensor& tensor : tensors)
          parallel_ranges(tensor.count, kGrain, [&](int64_t begin, int64_t end) {
            if (!cpu::adam_update(by, tensor, begin, end)) finite = false;
          });
        finite_ = finite;
      },
      [&](DeviceCall& gpu) {
        const PoolVector<TensorChunk> chunks = chunks_of(tensors);
        const int64_t count = int64_t(chunks.size());
        if (!broken_ || broken_.count() != count) {  // other parameters got a gradient than before
          finite();
          broken_ = zeros({count}, DType::i64, Device::kCuda);
        }
        cuda::adam_update(by, gpu.table(tensors), gpu.table(chunks), count, gpu.out<int64_t>(broken_), gpu.stream());
      });
}

bool Adam::finite() {
  if (broken_)
    for (const double flag : broken_.to_vector()) finite_ &= flag == 0;
  return finite_;
}

void Adam::zero_grad() {
  for (NamedTensor& parameter : parameters_) parameter.tensor.set_grad({});
}

std::vector<NamedTensor> Adam::state() const {
  std::vector<NamedTensor> out;
  append_state("exp_avg", parameters_, exp_avg_, &out);
  append_state("exp_avg_sq", parameters_, exp_avg_sq_, &out);
  append_state("max_exp_avg_sq", parameters_, max_exp_avg_sq_, &out);
  out.push_back({"step", full({}, double(step_), DType::i64)});
  return out;
}

void Adam::load_state(const SafetensorsFile& file, const std::string& prefix) {
  const NoGrad no_grad;
  load_tensors(file, prefix + "exp_avg", parameters_, &exp_avg_);
  load_tensors(file, prefix + "exp_avg_sq", parameters_, &exp_avg_sq_);
  load_tensors(file, prefix + "max_exp_avg_sq", parameters_, &max_exp_avg_sq_);
  step_ = load_step(file, prefix + "step");
}

Tensor clip_grad_norm(const std::vector<NamedTensor>& parameters, double max_norm) {
  PoolVector<GradientTensor> tensors;
  PoolVector<Tensor> with_gradient, clipped;  // not in place: a gradient may share its memory with another's
  for (const NamedTensor& parameter : parameters) {
    const Tensor gradient = parameter.tensor.grad();
    if (!gradient) continue;
    tensors.push_back({gradient.data<float>(gradient.device()), nullptr, gradient.count()});
    with_gradient.push_back(parameter.tensor);
  }
  const Device device = with_gradient.empty() ? Device::kCpu : with_gradient[0].device();
  Tensor norm = zeros({}, DType::f64, device);
  const auto make_clipped = [&] {
    for (size_t i = 0; i < tensors.size(); ++i) {
      clipped.push_back(empty_like(with_gradient[i]));
      tensors[i].clipped = clipped[i].mutable_data<float>(device);
    }
  };
  on_device_of(
      norm, "clip_grad_norm",
      [&] {
        double squares = 0;
        for (const GradientTensor& tensor : tensors) squares = plus_squares(squares, tensor);
        *norm.mutable_data<double>() = std::sqrt(squares);
        const float factor = clip_factor(std::sqrt(squares), max_norm);
        if (max_norm == 0 || factor == 1) return;
        make_clipped();
        for (const GradientTensor& tensor : tensors)
          parallel_ranges(tensor.count, kGrain,
                          [&](int64_t begin, int64_t end) { reference::clip_gradients(factor, tensor, begin, end); });
      },
      [&](DeviceCall& gpu) {
        if (max_norm != 0) make_clipped();
        const PoolVector<TensorChunk> list = chunks_of(tensors);
        const int64_t count = int64_t(list.size());
        const GradientTensor* table = gpu.table(tensors);
        const TensorChunk* chunks = gpu.table(list);
        double* result = gpu.out<double>(norm);
        cuda::gradient_norm(table, chunks, count, gpu.scratch<double>(count), result, gpu.stream());
        if (max_norm != 0) cuda::clip_gradients(result, max_norm, table, chunks, count, gpu.stream());
      });
  for (size_t i = 0; i < clipped.size(); ++i) with_gradient[i].set_grad(clipped[i]);
  return norm;
}

double learning_rate(const LearningRateOptions& options, int64_t step) {
  if (step < options.warmup) return options.rate * double(step + 1) / double(options.warmup);
  if (!options.cosine) return options.rate;
  const int64_t span = std::max<int64_t>(1, options.total - options.warmup);
  const double progress = std::min(1.0, double(step - options.warmup) / double(span));
  const double share = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return options.rate * (options.final_fraction + (1 - options.final_fraction) * share);
}

}  // namespace echodiff
