// Ranks that are threads of one process.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "train/parallel/communicator.h"

namespace echodiff {

// What lies between ranks that are threads: one message at a time for each pair of sender and receiver.
struct Post {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::pair<int64_t, int64_t>, std::vector<char>> messages;
};

class ThreadRank : public Communicator {
 public:
  ThreadRank(Post& post, int64_t rank, int64_t size) : Communicator(rank, size), post_(post) {}
  void exchange(int64_t partner, const void* mine, void* theirs, int64_t bytes) override {
    std::unique_lock lock(post_.mutex);
    const char* out = static_cast<const char*>(mine);
    post_.changed.wait(lock, [&] { return !post_.messages.contains({rank(), partner}); });
    post_.messages[{rank(), partner}] = {out, out + bytes};
    post_.changed.notify_all();
    post_.changed.wait(lock, [&] { return post_.messages.contains({partner, rank()}); });
    const std::vector<char> got = post_.messages.at({partner, rank()});
    post_.messages.erase({partner, rank()});
    post_.changed.notify_all();
    ASSERT_EQ(int64_t(got.size()), bytes);
    std::memcpy(theirs, got.data(), got.size());
  }

 private:
  Post& post_;
};

}  // namespace echodiff
