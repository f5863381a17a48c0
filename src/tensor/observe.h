// Observers at record(): RAII, thread-local, no cost when none is there. They nest: the innermost calls the outer ones.
#pragma once

#include <cstdint>
#include <exception>
#include <iosfwd>
#include <map>
#include <span>
#include <string>

#include "tensor/tensor.h"

namespace echodiff {

class Observer {
 public:
  Observer();
  virtual ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  virtual void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) = 0;
  virtual void backward(const char*, const Tensor& /*dy*/, std::span<const Tensor> /*gradients*/) {}
  Observer* outer() const { return outer_; }

 private:
  Observer* outer_;
};

// Called by record() and backward().
void observe_forward(const char* op, std::span<const Tensor> inputs, const Tensor& output);
void observe_backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients);

// min, max, mean, root mean square and the number of NaN or infinite elements.
struct TensorStatistics {
  double min = 0, max = 0, mean = 0, rms = 0;
  int64_t not_finite = 0;
};
TensorStatistics statistics_of(const Tensor& x);
std::ostream& operator<<(std::ostream&, const TensorStatistics&);

// Throws Error(kInternal) at the first op whose output or gradient holds a NaN or infinity, naming it and its inputs'
// statistics.
class NanTrap : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;
};

// One line per op: name, shape, statistics; to diff against the same dump of PyTorch.
class TensorDump : public Observer {
 public:
  explicit TensorDump(std::ostream& out) : out_(out) {}
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;

 private:
  std::ostream& out_;
};

// Time between record() calls, attributed to the op that just ended: a table by op, forward and backward.
class OpTimer : public Observer {
 public:
  OpTimer();
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;
  void print(std::ostream& out) const;

  struct Entry {
    int64_t calls = 0;
    double seconds = 0;
  };
  const std::map<std::string, Entry>& entries() const { return entries_; }

 private:
  double lap();
  double last_;
  std::map<std::string, Entry> entries_;
};

// What StopWhen throws: a wish, not an error.
class Stopped : public std::exception {
 public:
  const char* what() const noexcept override { return "stopped between two ops"; }
};

// Ends what is under way between two ops, forward or backward, once `asked` says so: a step of a large batch may take
// minutes. Throws Stopped.
class StopWhen : public Observer {
 public:
  explicit StopWhen(bool (*asked)()) : asked_(asked) {}
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;

 private:
  bool (*asked_)();
};

// How often the host waited for the device since this was made, by the op that was recorded next ("d " + op going
// backward): a step that waits leaves the device idle. Nothing in a build without CUDA.
class SyncCounter : public Observer {
 public:
  SyncCounter();
  void forward(const char* op, std::span<const Tensor> inputs, const Tensor& output) override;
  void backward(const char* op, const Tensor& dy, std::span<const Tensor> gradients) override;
  int64_t total() const;
  const std::map<std::string, int64_t>& entries() const { return entries_; }  // of ops that waited

 private:
  void count(const std::string& op);
  int64_t first_, last_;
  std::map<std::string, int64_t> entries_;
};

}  // namespace echodiff
