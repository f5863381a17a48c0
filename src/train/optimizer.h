// Adam and AdamW with the arithmetic of torch.optim, gradient clipping, and learning rates over time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/io/safetensors.h"

namespace echodiff {

// Kingma & Ba 2014 (arXiv:1412.6980). decoupled: AdamW's weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101);
// otherwise the decay is L2, added to the gradient. amsgrad: Reddi et al. 2018.
struct AdamOptions {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
  bool decoupled = false, amsgrad = false;
};

class Adam {
 public:
  // `parameters` are handles on a module's f32 parameters; their names name the state.
  Adam(std::vector<NamedTensor> parameters, const AdamOptions& options);

  // One update with the parameters' gradients; a parameter without one stays as it is.
  void step(double learning_rate);
  // Whether every updated parameter has been finite so far. On cuda the host waits here, and not in step().
  bool finite();
  void zero_grad();

  // exp_avg.NAME, exp_avg_sq.NAME, with amsgrad max_exp_avg_sq.NAME, and step: handles, in this order.
  std::vector<NamedTensor> state() const;
  // Takes over what state() gave. Throws Error(kBadInput) naming the first tensor that is missing or misshapen.
  void load_state(const SafetensorsFile& file, const std::string& prefix);

 private:
  std::vector<NamedTensor> parameters_;
  AdamOptions options_;
  std::vector<Tensor> exp_avg_, exp_avg_sq_, max_exp_avg_sq_;  // one a parameter, of its shape
  int64_t step_ = 0;
  bool finite_ = true;
  Tensor broken_;  // on cuda: one flag per piece of the parameters
};

// torch.nn.utils.clip_grad_norm_: gradients are scaled by max_norm / (norm + 1e-6) where that is below 1; 0 clips
// nothing. Returns the 2-norm of all gradients together before clipping, summed in double in a fixed order; 0 without
// any. () f64 where the gradients are: whoever wants the number waits for it, in item().
Tensor clip_grad_norm(const std::vector<NamedTensor>& parameters, double max_norm);

// Linear warm-up over the first `warmup` steps, then constant, or half a cosine down to `final_fraction` of the rate
// at `total` steps.
struct LearningRateOptions {
  double rate = 1e-4;
  int64_t warmup = 0;
  bool cosine = false;
  int64_t total = 1;
  double final_fraction = 0;
};
double learning_rate(const LearningRateOptions& options, int64_t step);  // step 0 is the first

}  // namespace echodiff
