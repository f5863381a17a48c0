// A CUDA device that is none: the runtime, cuBLASLt, cuDNN and NCCL calls that are made, implemented on the host by
// their documented semantics, so that everything above them runs without a GPU. This is the tests' side of it: what was
// called, what was misused, what is still alive, and which call is to fail.
//
// Device memory is a range of addresses that nothing but a kernel, a copy or a library call may touch: host code that
// does is ended with a message. Fresh memory is NaN. A copy to the host arrives at the next synchronisation. Kernels
// take pointers into live device memory alone, and a stream of their own.
// It can't show: speed, real rounding, what goes wrong between streams.
//
// A program is told by the environment, words separated by spaces:
//   FAKE_CUDA="devices=0"  "memory=BYTES"  "idle"  "fail=K:memory"  "fail=K:sticky"  "report=FILE" (written at exit)
//             "refuse=K" (no engine is offered for the K-th convolution that cuDNN is asked to plan)
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fake_cuda {

enum class Failure {
  memory,  // out of memory, as each library says it; the next call works again
  sticky,  // cudaErrorIllegalAddress: every later call fails too
};

// False where the tests run on a real device (real_device.cpp): nothing below is known there, and nothing is counted.
bool is_faked();

// Calls and misuse are forgotten, nothing fails, one device of `memory` bytes. What is alive stays.
void reset(size_t memory = size_t{1} << 30);
void set_device_count(int count);
// Until reset: every call is checked and copies are made, but kernels and libraries compute nothing, and fresh memory
// is zero. For what is about calls and not about numbers.
void stay_idle();
void fail_call(int64_t k, Failure how);  // the k-th call from now, from 1
void lose_partners();                    // until reset: NCCL finds that another rank is gone

int64_t calls();                               // since reset
const std::vector<std::string>& call_names();  // of these
const std::vector<std::string>& misuses();     // what CUDA's documentation forbids, one line each
int64_t live_allocations();                    // cudaMalloc without cudaFree
int64_t live_objects();                        // streams, events, handles, descriptors
int64_t pinned_copies_under_way();             // from page-locked memory, not waited for
bool is_device_memory(const void* p);

}  // namespace fake_cuda
