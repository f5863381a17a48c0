#include "cuda/host/block.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "cuda/host/fiber.h"

namespace hostcuda {

uint3 thread_index, block_index;
dim3 block_size, grid_size;
LaunchHooks launch_hooks;

namespace {

constexpr size_t kMaxDynamicShared = 99 << 10;  // what an sm_86 block may opt in to: the least of our devices
constexpr size_t kMaxStaticShared = 48 << 10;

enum class Wait : uint8_t { none, barrier, warp, done };

struct Thread {
  Fiber fiber;
  uint3 index{};
  unsigned linear = 0;
  Wait wait = Wait::none;
  WarpOp op = WarpOp::sync;
  const char* file = "";
  int line = 0;
  uint32_t mask = 0;
  int source = 0;
  uint64_t value = 0;
  int predicate = 0;
};

[[noreturn]] void fail(const std::string& what, const char* file, int line) {
  std::fprintf(stderr, "host_cuda: %s (%s:%d), block (%u,%u,%u), thread (%u,%u,%u)\n", what.c_str(), file, line,
               block_index.x, block_index.y, block_index.z, thread_index.x, thread_index.y, thread_index.z);
  std::fflush(stdout);
  std::_Exit(3);
}

std::mt19937_64 generator;
std::set<std::string> launched;
int64_t threads_total = 0;

struct Allocation {
  void operator()(void* p) const { std::free(p); }
};
using Bytes = std::unique_ptr<void, Allocation>;

// Filled with ones: a float or double NaN, and -1.
Bytes poisoned(size_t bytes) {
  void* p = nullptr;
  if (posix_memalign(&p, 16, bytes)) throw std::bad_alloc();
  std::memset(p, 0xFF, bytes);
  return Bytes(p);
}

class Block {
 public:
  Block(unsigned count, size_t dynamic_bytes, const std::function<void()>& body)
      : body_(body),
        threads_(count),
        dynamic_bytes_(dynamic_bytes),
        dynamic_(dynamic_bytes ? poisoned(dynamic_bytes) : nullptr) {}

  void run();
  int barrier(int predicate, const char* file, int line);
  uint64_t exchange(WarpOp op, uint32_t mask, uint64_t value, int source, const char* file, int line);
  void* static_shared(const void* key, size_t bytes);
  void* dynamic() {
    if (!dynamic_) fail("dynamic_shared() in a launch that asked for none", "", 0);
    return dynamic_.get();
  }

 private:
  static void entry();
  void suspend(Thread& thread) { switch_.suspend(thread.fiber, thread.wait == Wait::done); }
  void settle(Thread& thread);
  void open_barrier();
  void try_exchange(Thread& thread);
  [[noreturn]] void deadlock();

  struct WarpState {
    char order[2];
    unsigned generation = 0, waiting = 0;
  };

  const std::function<void()>& body_;
  std::vector<Thread> threads_;
  std::vector<unsigned> ready_;
  FiberSwitch switch_;
  Thread* running_ = nullptr;
  unsigned live_ = 0, at_barrier_ = 0, generation_ = 0;
  char order_[2];  // what a barrier orders is released and acquired through here
  WarpState warps_[32];
  std::vector<std::pair<const void*, Bytes>> static_;
  size_t static_bytes_ = 0, dynamic_bytes_;
  Bytes dynamic_;
};

Block* current = nullptr;
char grid_start, grid_end;  // orders launches one after the other

void Block::run() {
  live_ = unsigned(threads_.size());
  ready_.resize(threads_.size());
  std::iota(ready_.begin(), ready_.end(), 0u);
  for (unsigned i : ready_) {
    Thread& thread = threads_[i];
    thread.linear = i;
    thread.index = {i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
  }
  while (live_ > 0) {
    if (ready_.empty()) deadlock();
    std::shuffle(ready_.begin(), ready_.end(), generator);
    std::vector<unsigned> batch;
    batch.swap(ready_);
    for (unsigned i : batch) {
      Thread& thread = threads_[i];
      running_ = &thread;
      thread_index = thread.index;
      if (!thread.fiber.stack) switch_.start(thread.fiber, &Block::entry);  // on the stack that was left last
      switch_.resume(thread.fiber);
      settle(thread);
    }
  }
}

void Block::entry() {
  Block& block = *current;
  Thread& thread = *block.running_;
  block.switch_.entered();
  acquired(&grid_start);
  block.body_();
  released(&grid_end);
  thread.wait = Wait::done;
  block.suspend(thread);
  std::abort();  // a finished thread is never resumed
}

int Block::barrier(int predicate, const char* file, int line) {
  Thread& thread = *running_;
  thread.wait = Wait::barrier;
  thread.predicate = predicate;
  thread.file = file;
  thread.line = line;
  void* order = &order_[generation_ % 2];
  released(order);
  suspend(thread);
  acquired(order);
  return thread.predicate;
}

uint64_t Block::exchange(WarpOp op, uint32_t mask, uint64_t value, int source, const char* file, int line) {
  Thread& thread = *running_;
  if (!(mask >> (thread.linear % 32) & 1)) fail("a warp operation whose mask leaves out the calling lane", file, line);
  thread.wait = Wait::warp;
  thread.op = op;
  thread.mask = mask;
  thread.value = value;
  thread.source = source;
  thread.file = file;
  thread.line = line;
  WarpState& warp = warps_[thread.linear / 32];
  void* order = &warp.order[warp.generation % 2];
  if (op == WarpOp::sync) released(order);  // a shuffle orders no memory
  suspend(thread);
  if (op == WarpOp::sync) acquired(order);
  return thread.value;
}

// What the thread that has just stopped means for the others.
void Block::settle(Thread& thread) {
  if (thread.wait == Wait::done) {
    switch_.release_stack(thread.fiber);
    --live_;
  }
  if (thread.wait == Wait::barrier) ++at_barrier_;
  if (thread.wait == Wait::warp) try_exchange(thread);
  if (at_barrier_ > 0 && at_barrier_ == live_) open_barrier();
}

void Block::open_barrier() {
  const Thread* first = nullptr;
  int count = 0;
  for (const Thread& thread : threads_)
    if (thread.wait == Wait::barrier && live_ < threads_.size())
      fail(std::to_string(threads_.size() - live_) + " threads have left, others wait at a barrier", thread.file,
           thread.line);
  for (Thread& thread : threads_) {
    if (thread.wait != Wait::barrier) continue;
    if (!first) first = &thread;
    if (thread.line != first->line || std::strcmp(thread.file, first->file) != 0) {
      thread_index = thread.index;
      fail("threads of one block at different barriers, others at line " + std::to_string(first->line), thread.file,
           thread.line);
    }
    count += thread.predicate != 0;
  }
  for (Thread& thread : threads_) {
    if (thread.wait != Wait::barrier) continue;
    thread.wait = Wait::none;
    thread.predicate = count;
    ready_.push_back(thread.linear);
  }
  at_barrier_ = 0;
  ++generation_;
}

void Block::try_exchange(Thread& thread) {
  WarpState& state = warps_[thread.linear / 32];
  if (++state.waiting < unsigned(__builtin_popcount(thread.mask))) return;
  Thread* lanes = &threads_[thread.linear / 32 * 32];
  const unsigned count = std::min<unsigned>(32, unsigned(threads_.size()) - thread.linear / 32 * 32);
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(thread.mask >> lane & 1)) continue;
    if (lane >= count || lanes[lane].wait == Wait::done)
      fail("a warp operation names lane " + std::to_string(lane) + ", which has left or doesn't exist", thread.file,
           thread.line);
    if (lanes[lane].wait != Wait::warp || lanes[lane].mask != thread.mask || lanes[lane].op != thread.op) return;
  }
  uint64_t results[32] = {};
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(thread.mask >> lane & 1)) continue;
    if (!(thread.mask >> lanes[lane].source & 1))
      fail("a shuffle from a lane outside its mask", thread.file, thread.line);
    results[lane] = lanes[lanes[lane].source].value;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (!(thread.mask >> lane & 1)) continue;
    lanes[lane].value = results[lane];
    lanes[lane].wait = Wait::none;
    ready_.push_back(lanes[lane].linear);
    --state.waiting;
  }
  ++state.generation;
}

void Block::deadlock() {
  std::string what = "deadlock:";
  unsigned done = 0;
  const Thread* shown = nullptr;
  for (const Thread& thread : threads_) {
    done += thread.wait == Wait::done;
    if (thread.wait == Wait::done || (shown && shown->line == thread.line && shown->wait == thread.wait)) continue;
    what += " thread " + std::to_string(thread.linear) +
            (thread.wait == Wait::barrier ? " waits at the barrier" : " waits for its warp") + " of line " +
            std::to_string(thread.line) + ";";
    shown = &thread;
  }
  fail(what + " " + std::to_string(done) + " threads have left", shown ? shown->file : "", shown ? shown->line : 0);
}

void* Block::static_shared(const void* key, size_t bytes) {
  for (const std::pair<const void*, Bytes>& entry : static_)
    if (entry.first == key) return entry.second.get();
  static_bytes_ += bytes;
  if (static_bytes_ > kMaxStaticShared) fail("more than 48 KiB of static shared memory", "", 0);
  static_.emplace_back(key, poisoned(bytes));
  return static_.back().second.get();
}

// "void echodiff::cuda::affine_kernel<float>(long, ...)" -> "affine_kernel"
std::string kernel_name(const void* kernel) {
  Dl_info info{};
  if (!dladdr(kernel, &info) || !info.dli_sname) return "?";
  int status = 0;
  const std::unique_ptr<char, Allocation> demangled(abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, &status));
  std::string name = status == 0 ? demangled.get() : info.dli_sname;
  name = name.substr(0, name.find_first_of("<("));
  return name.substr(name.find_last_of(": ") + 1);
}

}  // namespace

void set_seed(uint64_t seed) { generator.seed(seed); }
const std::set<std::string>& launched_kernels() { return launched; }
int64_t threads_run() { return threads_total; }

void run_grid(const void* kernel, dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()>& body) {
  const Unobserved harness;
  const uint64_t threads = uint64_t(block.x) * block.y * block.z, blocks = uint64_t(grid.x) * grid.y * grid.z;
  if (threads == 0 || threads > 1024 || block.z > 64 || blocks == 0 || grid.x > 2147483647u || grid.y > 65535 ||
      grid.z > 65535 || shared_bytes > kMaxDynamicShared)
    fail("a launch that CUDA refuses", kernel_name(kernel).c_str(), 0);
  launched.insert(kernel_name(kernel));
  threads_total += int64_t(threads * blocks);
  block_size = block;
  grid_size = grid;
  released(&grid_start);
  const uint64_t first = generator() % blocks;
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = (i + first) % blocks;
    block_index = {unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / grid.x / grid.y)};
    Block running(unsigned(threads), shared_bytes, body);
    current = &running;
    running.run();
  }
  current = nullptr;
  acquired(&grid_end);
}

int barrier(int predicate, const char* file, int line) { return current->barrier(predicate, file, line); }
uint64_t exchange(WarpOp op, uint32_t mask, uint64_t value, int source, const char* file, int line) {
  return current->exchange(op, mask, value, source, file, line);
}
void* static_shared(const void* key, size_t bytes) {
  const Unobserved harness;
  return current->static_shared(key, bytes);
}
void* dynamic_shared_bytes() { return current->dynamic(); }

}  // namespace hostcuda
