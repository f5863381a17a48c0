// Work that is the same at each call, launched as one CUDA graph: a network of some hundred launches costs the host
// one.
#pragma once

#include <functional>
#include <memory>

namespace echodiff::cuda {

class CapturedWork {
 public:
  CapturedWork();
  ~CapturedWork();
  CapturedWork(const CapturedWork&) = delete;

  // enqueue() must enqueue the same work each time, reading and writing the same memory, and wait for nothing. The
  // first call does what it says: plans are made and memory is found there. The second one captures it; from then on it
  // is not called any more. Memory that it allocated and let go of stays the graph's as long as this lives. Throws
  // Error.
  void run(const std::function<void()>& enqueue);

 private:
  struct Graph;
  bool has_run_ = false;
  std::unique_ptr<Graph> graph_;
};

}  // namespace echodiff::cuda
