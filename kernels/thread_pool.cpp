#include "kernels/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/error.h"

namespace echodiff {
namespace {

thread_local bool inside_a_body = false;

// The pieces [next, end) of a loop that belong to one thread.
struct alignas(64) Share {
  std::atomic<int64_t> next{0};
  int64_t end = 0;
};

// One parallel loop. A thread takes the pieces of its own share first, then those left in the others'. The same thread
// has the same part of each map from layer to layer, so that it finds it in its own cache: cores of one machine need
// not share one, and then the other half comes from far.
struct Job {
  const FunctionRef<int64_t>* body;
  int64_t count;
  Share* shares;
  int threads;
  std::exception_ptr error;
  std::mutex error_mutex;

  void divide() {
    for (int64_t i = 0; i < threads; ++i) {
      shares[i].next = i * count / threads;
      shares[i].end = (i + 1) * count / threads;
    }
  }
  void work(int thread) {
    inside_a_body = true;
    for (int i = 0; i < threads; ++i) work_on(shares[(thread + i) % threads]);
    inside_a_body = false;
  }
  void work_on(Share& share) {
    for (int64_t i = share.next++; i < share.end; i = share.next++) {
      try {
        (*body)(i);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(error_mutex);
        if (!error) error = std::current_exception();
        for (int other = 0; other < threads; ++other) shares[other].next = shares[other].end;
      }
    }
  }
};

// Returns true once `ready` does, false after some tens of microseconds: the next loop of a network is rarely further
// away, and waking a sleeping thread takes as long.
template <class F> bool spin_until(F&& ready) {
  for (int i = 0; i < 2000; ++i) {
    if (ready()) return true;
    __builtin_ia32_pause();
  }
  return false;
}

class Pool {
 public:
  explicit Pool(int threads) : shares_(size_t(threads)) {
    try {
      for (int i = 1; i < threads; ++i) threads_.emplace_back([this, i] { serve(i); });
    } catch (const std::exception& error) {
      const size_t made = threads_.size() + 1;
      stop();  // no destructor follows, and a thread that nobody joins ends the program
      throw Error(Fault::kOutOfMemory, concat_message("threads: ", threads, " were wanted, and only ", made,
                                                      " could be made (", error.what(), "); use fewer"));
    }
  }
  ~Pool() { stop(); }
  void run(Job& job) {
    job.shares = shares_.data();
    job.threads = int(shares_.size());
    job.divide();
    bool sleepers = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      busy_ = int(threads_.size());
      ++generation_;
      sleepers = sleeping_ > 0;
    }
    if (sleepers) wake_.notify_all();
    job.work(0);
    if (spin_until([this] { return busy_ == 0; })) return;
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }
  void serve(int thread) {
    uint64_t seen = 0;
    while (true) {
      if (!spin_until([&] { return generation_ != seen; })) {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return stopping_ || generation_ != seen; });
        --sleeping_;
      }
      if (stopping_) return;
      Job* job = nullptr;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        seen = generation_;
        job = job_;
      }
      job->work(thread);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Share> shares_;  // one for each thread, the caller's first
  std::vector<std::thread> threads_;
  Job* job_ = nullptr;                   // of the current generation
  std::atomic<uint64_t> generation_{0};  // one per job; changes under the mutex
  std::atomic<int> busy_{0};             // helpers still at work
  int sleeping_ = 0;
  std::atomic<bool> stopping_{false};
};

int default_threads() { return std::max(1, int(std::thread::hardware_concurrency())); }

std::mutex pool_mutex;  // one parallel loop at a time; held while it runs
int wanted_threads = default_threads();
std::unique_ptr<Pool> pool;

}  // namespace

void set_thread_count(int count) {
  check(count >= 1, "threads: expected at least 1, got ", count);
  const std::lock_guard<std::mutex> lock(pool_mutex);
  wanted_threads = count;
  pool.reset();
}
int thread_count() { return wanted_threads; }

void parallel_for(int64_t n, FunctionRef<int64_t> body) {
  if (n <= 1 || wanted_threads == 1 || inside_a_body) {
    for (int64_t i = 0; i < n; ++i) body(i);
    return;
  }
  Job job{.body = &body, .count = n, .shares = nullptr, .threads = 0, .error = nullptr, .error_mutex = {}};
  {
    const std::lock_guard<std::mutex> lock(pool_mutex);
    if (!pool) pool = std::make_unique<Pool>(wanted_threads);
    pool->run(job);
  }
  if (job.error) std::rethrow_exception(job.error);
}

void parallel_ranges(int64_t n, int64_t grain, FunctionRef<int64_t, int64_t> body) {
  parallel_for((n + grain - 1) / grain, [&](int64_t i) { body(i * grain, std::min(n, (i + 1) * grain)); });
}

}  // namespace echodiff
