// A kernel case: random inputs of odd sizes, the kernel on the host harness, the reference in double, the worst
// difference. Arrays are allocated one by one with exactly their size, so that AddressSanitizer sees the first element
// beyond.
#pragma once

#include <cuda_bf16.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cuda/stream.h"

namespace kernels_host {

using echodiff::Bfloat16;

template <class T> class Array {
 public:
  explicit Array(int64_t size) : data_(new T[size_t(size)]), size_(size) {}
  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data_[size_t(i)]; }
  const T& operator[](int64_t i) const { return data_[size_t(i)]; }

 private:
  std::unique_ptr<T[]> data_;
  int64_t size_;
};

template <class T> Array<double> in_double(const Array<T>& x) {
  Array<double> out(x.size());
  for (int64_t i = 0; i < x.size(); ++i) out[i] = double(float(x[i]));
  return out;
}
inline Array<double> in_double(const Array<double>& x) {
  Array<double> out(x.size());
  for (int64_t i = 0; i < x.size(); ++i) out[i] = x[i];
  return out;
}

// One run of one case.
class Run {
 public:
  explicit Run(uint64_t seed) : random_(seed) {}

  template <class T> Array<T> normal(int64_t size, double scale = 1) {
    std::normal_distribution<double> draw(0, scale);
    Array<T> out(size);
    for (int64_t i = 0; i < size; ++i) out[i] = T(float(draw(random_)));
    return out;
  }
  Array<int64_t> below(int64_t size, int64_t bound) {
    Array<int64_t> out(size);
    for (int64_t i = 0; i < size; ++i) out[i] = int64_t(random_() % uint64_t(bound));
    return out;
  }
  // Outputs and scratch: NaN, so that an element that no thread writes shows.
  template <class T> Array<T> unwritten(int64_t size) {
    Array<T> out(size);
    for (int64_t i = 0; i < size; ++i) out[i] = T(std::nanf(""));
    return out;
  }

  // |got - expected| <= tolerance (1 + |expected|), with bfloat16's rounding on top where T is that.
  template <class T>
  void close(const char* what, const Array<T>& got, const Array<double>& expected, double tolerance = 2e-5) {
    const double rounding = sizeof(T) == 2 ? 1.0 / 128 : 0;
    if (got.size() != expected.size()) fail(what, -1, double(got.size()), double(expected.size()));
    for (int64_t i = 0; i < got.size(); ++i) {
      const double value = to_double(got[i]), error = std::fabs(value - expected[i]) / (1 + std::fabs(expected[i]));
      if (error > worst_) worst_ = error;
      if (!(error <= tolerance + rounding)) return fail(what, i, value, expected[i]);
    }
  }
  template <class T> void equal(const char* what, const Array<T>& got, const Array<T>& expected) {
    for (int64_t i = 0; i < got.size(); ++i)
      if (!(got[i] == expected[i])) return fail(what, i, double(got[i]), double(expected[i]));
  }

  double worst() const { return worst_; }
  const std::string& failure() const { return failure_; }  // of the first check that failed, or empty

 private:
  static double to_double(double v) { return v; }
  static double to_double(Bfloat16 v) { return double(float(v)); }
  void fail(const char* what, int64_t i, double got, double expected);

  std::mt19937_64 random_;
  double worst_ = 0;
  std::string failure_;
};

struct KernelCase {
  std::string name;  // starts with the op's basename
  std::function<void(Run&)> run;
};
using KernelCases = std::vector<KernelCase>;

// Both storage types of an op: body(run, T{}).
template <class Body> void add_both(KernelCases& cases, const std::string& name, Body body) {
  cases.push_back({name + " fp32", [body](Run& run) { body(run, float{}); }});
  cases.push_back({name + " bf16", [body](Run& run) { body(run, Bfloat16{}); }});
}

void add_elementwise_cases(KernelCases&);
void add_norm_cases(KernelCases&);
void add_attention_cases(KernelCases&);
void add_picture_cases(KernelCases&);
void add_loss_cases(KernelCases&);
void add_training_cases(KernelCases&);

}  // namespace kernels_host
