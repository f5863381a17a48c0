// Runs a grid of CUDA threads on the host, one block after the other, the threads of a block as fibers that really wait
// at barriers and warp exchanges. By itself it finds: threads of one block at different barriers, deadlocks, warp masks
// that don't fit, launch limits. Shared memory is filled with NaN and has exactly the size asked for; threads and
// blocks run in an order drawn from the seed. Compiled with AddressSanitizer a kernel's accesses are bounded, with
// ThreadSanitizer its races are found: each CUDA thread is a thread to it, ordered by barriers and __syncwarp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>

#include <driver_types.h>
#include <vector_types.h>

namespace hostcuda {

// Drawn from for the order of threads and blocks. One per test run.
void set_seed(uint64_t seed);

// Names of all kernels launched so far, without namespace and template arguments.
const std::set<std::string>& launched_kernels();
// CUDA threads run so far.
int64_t threads_run();

// body is one thread's kernel call. kernel: its address, for launched_kernels.
void run_grid(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body);

// A faked runtime's part in a launch, null where there is none: it may refuse by throwing, given the kernel's pointer
// arguments; then it runs the grid, now or later, with device memory open to it.
struct LaunchHooks {
  void (*before)(const void* const* pointers, int count, cudaStream_t stream) = nullptr;
  void (*submit)(cudaStream_t stream, std::function<void()> grid) = nullptr;
};
extern LaunchHooks launch_hooks;

// ---- called from a kernel, on its fiber
extern uint3 thread_index, block_index;  // of the running thread
extern dim3 block_size, grid_size;

enum class WarpOp : uint8_t { sync, shuffle };

// All threads of the block; how many gave a predicate that isn't 0.
int barrier(int predicate, const char* file, int line);
// All lanes of the mask; the value that lane `source` gave.
uint64_t exchange(WarpOp op, uint32_t mask, uint64_t value, int source, const char* file, int line);
// The block's static shared memory under that key, and the launch's dynamic one.
void* static_shared(const void* key, size_t bytes);
void* dynamic_shared_bytes();

}  // namespace hostcuda
