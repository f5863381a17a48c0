#include "tensor/observe.h"

#include <chrono>
#include <cmath>
#include <iomanip>
#include <limits>
#include <ostream>

#include "kernels/cuda/backend.h"
#include "tensor/autograd.h"

namespace echodiff {
namespace {

thread_local Observer* innermost = nullptr;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t synchronizations() {
  if constexpr (cuda::kBuiltWithCuda) return cuda::device_statistics().synchronizations;
  return 0;
}

// Throws when x has a NaN or infinity. Masked scores (-inf) never leave the attention op, so none is legal.
void trap(const char* what, const char* op, const Tensor& x, std::span<const Tensor> inputs) {
  if (!x.defined() || x.dtype() == DType::i64) return;
  const TensorStatistics found = statistics_of(x);
  if (found.not_finite == 0) return;
  std::ostringstream message;
  message << what << " of " << op << " " << x.shape() << " has " << found.not_finite
          << " NaN or infinite elements; inputs:";
  for (const Tensor& input : inputs)
    if (input.defined()) message << " " << input.shape() << " " << statistics_of(input) << ";";
  throw Error(Fault::kInternal, message.str());
}

}  // namespace

Observer::Observer() : outer_(innermost) { innermost = this; }
Observer::~Observer() { innermost = outer_; }

void observe_forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) {
  for (Observer* observer = innermost; observer != nullptr; observer = observer->outer())
    observer->forward(op, inputs, output);
}
void observe_backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) {
  for (Observer* observer = innermost; observer != nullptr; observer = observer->outer())
    observer->backward(op, dy, gradients);
}

TensorStatistics statistics_of(const Tensor& x) {
  if (x.dtype() == DType::bf16) return statistics_of(x.to(DType::f32));
  if (x.device() != Device::kCpu) return statistics_of(x.to(Device::kCpu));
  TensorStatistics s;
  s.min = std::numeric_limits<double>::infinity();
  s.max = -s.min;
  const int64_t n = x.count();
  int64_t finite = 0;
  const auto scan = [&](const auto* values) {
    for (int64_t i = 0; i < n; ++i) {
      const double value = double(values[i]);
      if (!std::isfinite(value)) {
        ++s.not_finite;
        continue;
      }
      ++finite;
      s.min = std::min(s.min, value);
      s.max = std::max(s.max, value);
      s.mean += value;
      s.rms += value * value;
    }
  };
  if (x.dtype() == DType::f32)
    scan(x.data<float>());
  else if (x.dtype() == DType::f64)
    scan(x.data<double>());
  else
    scan(x.data<int64_t>());
  if (finite > 0) {
    s.mean /= double(finite);
    s.rms = std::sqrt(s.rms / double(finite));
  }
  return s;
}

std::ostream& operator<<(std::ostream& out, const TensorStatistics& s) {
  return out << "min " << s.min << " max " << s.max << " mean " << s.mean << " rms " << s.rms << " not finite "
             << s.not_finite;
}

void NanTrap::forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) {
  trap("output", op, output, inputs);
}
void NanTrap::backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) {
  for (const Tensor& gradient : gradients) trap("gradient", op, gradient, {&dy, 1});
}

void StopWhen::forward(const char*, std::span<const Tensor>, const Tensor&) {
  if (asked_()) throw Stopped();
}
void StopWhen::backward(const char*, const Tensor&, std::span<const Tensor>) {
  if (asked_()) throw Stopped();
}

void TensorDump::forward(const char* op, std::span<const Tensor>, const Tensor& output) {
  out_ << op << " " << output.shape() << " " << statistics_of(output) << "\n";
}
void TensorDump::backward(const char* op, const Tensor& dy, std::span<const Tensor>) {
  out_ << "d " << op << " " << dy.shape() << " " << statistics_of(dy) << "\n";
}

OpTimer::OpTimer() : last_(seconds_now()) {}
double OpTimer::lap() {
  const double now = seconds_now(), elapsed = now - last_;
  last_ = now;
  return elapsed;
}
void OpTimer::forward(const char* op, std::span<const Tensor>, const Tensor&) {
  Entry& entry = entries_[op];
  ++entry.calls;
  entry.seconds += lap();
}
void OpTimer::backward(const char* op, const Tensor&, std::span<const Tensor>) {
  Entry& entry = entries_[std::string("d ") + op];
  ++entry.calls;
  entry.seconds += lap();
}
void OpTimer::print(std::ostream& out) const {
  double total = 0;
  for (const auto& [op, entry] : entries_) total += entry.seconds;
  std::multimap<double, std::string, std::greater<>> by_time;
  for (const auto& [op, entry] : entries_) by_time.emplace(entry.seconds, op);
  for (const auto& [seconds, op] : by_time)
    out << std::setw(24) << std::left << op << std::right << std::setw(8) << entries_.at(op).calls << std::fixed
        << std::setprecision(2) << std::setw(10) << 1e3 * seconds << " ms" << std::setw(7) << 100 * seconds / total
        << " %\n";
}

SyncCounter::SyncCounter() : first_(synchronizations()), last_(first_) {}
int64_t SyncCounter::total() const { return synchronizations() - first_; }
void SyncCounter::count(const std::string& op) {
  const int64_t now = synchronizations();
  if (now > last_) entries_[op] += now - last_;
  last_ = now;
}
void SyncCounter::forward(const char* op, std::span<const Tensor>, const Tensor&) { count(op); }
void SyncCounter::backward(const char* op, const Tensor&, std::span<const Tensor>) { count(std::string("d ") + op); }

}  // namespace echodiff
