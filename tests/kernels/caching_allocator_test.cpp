#include "kernels/cuda/caching_allocator.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

// A device with `capacity` bytes that remembers what it gave.
struct FakeDevice {
  size_t capacity, given = 0;
  int calls = 0;
  std::map<void*, size_t> blocks{};
  RawMemory raw() {
    return {[this](size_t bytes) -> void* {
              ++calls;
              if (given + bytes > capacity) return nullptr;
              given += bytes;
              void* data = std::malloc(bytes);
              blocks[data] = bytes;
              return data;
            },
            [this](void* data) {
              given -= blocks.at(data);
              blocks.erase(data);
              std::free(data);
            }};
  }
};

TEST(CachingAllocator, HandsOutAFreedBlockAgain) {
  FakeDevice device{1 << 20};
  CachingAllocator memory(device.raw(), 1 << 20);
  void* first = nullptr;
  {
    const DeviceBuffer buffer = memory.allocate(1000, "x");
    first = buffer.data();
    EXPECT_EQ(memory.in_use(), 1024u);
  }
  EXPECT_EQ(memory.in_use(), 0u);
  EXPECT_EQ(memory.cached(), 1024u);
  const DeviceBuffer again = memory.allocate(900, "y");
  EXPECT_EQ(again.data(), first);
  EXPECT_EQ(memory.cached(), 0u);
  EXPECT_EQ(device.calls, 1);
  EXPECT_EQ(memory.peak(), 1024u);
}

TEST(CachingAllocator, HeldBlocksComeBackToNobodyElse) {
  FakeDevice device{1 << 20};
  CachingAllocator memory(device.raw(), 1 << 20);
  void* first = nullptr;
  { first = memory.allocate(1000, "cached before").data(); }
  {
    HeldMemory held;
    memory.hold_for(&held);
    { EXPECT_EQ(memory.allocate(1000, "captured").data(), first); }
    { EXPECT_EQ(memory.allocate(1000, "captured again").data(), first); }
    EXPECT_EQ(memory.in_use(), 1024u);
    memory.hold_for(nullptr);
    EXPECT_NE(memory.allocate(1000, "another's").data(), first);
    EXPECT_EQ(memory.in_use(), 1024u);
    EXPECT_EQ(memory.cached(), 1024u);
    memory.release_cached();
    EXPECT_EQ(device.blocks.count(first), 1u);
  }
  EXPECT_EQ(memory.in_use(), 0u);
  EXPECT_EQ(memory.allocate(1000, "after").data(), first);
}

TEST(CachingAllocator, DoesNotSpendALargeBlockOnASmallRequest) {
  FakeDevice device{64 << 20};
  CachingAllocator memory(device.raw(), 64 << 20);
  { const DeviceBuffer large = memory.allocate(16 << 20, "large"); }
  const DeviceBuffer small = memory.allocate(4 << 20, "small");
  EXPECT_EQ(memory.in_use(), size_t(4 << 20));
  EXPECT_EQ(memory.cached(), size_t(16 << 20));
}

TEST(CachingAllocator, FreesTheCacheBeforeItGivesUp) {
  FakeDevice device{3 << 20};
  CachingAllocator memory(device.raw(), 3 << 20);
  {
    const DeviceBuffer a = memory.allocate(1 << 20, "a");
    const DeviceBuffer b = memory.allocate(1 << 20, "b");
  }
  const DeviceBuffer whole = memory.allocate(3 << 20, "whole");
  EXPECT_EQ(memory.cached(), 0u);
  EXPECT_EQ(device.given, size_t(3 << 20));
}

TEST(CachingAllocator, NamesWhatDidNotFit) {
  FakeDevice device{8 << 20};
  CachingAllocator memory(device.raw(), 4 << 20);
  const DeviceBuffer held = memory.allocate(3 << 20, "held");
  try {
    const DeviceBuffer buffer = memory.allocate(2 << 20, "the skip of level 2");
    FAIL() << "2 MiB more than the limit were given";
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kOutOfMemory);
    const std::string message = error.what();
    for (const char* part : {"the skip of level 2", "wanted 2 MiB", "in use 3 MiB", "peak 3 MiB", "limit 4 MiB"})
      EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  EXPECT_EQ(memory.in_use(), size_t(3 << 20));
}

TEST(CachingAllocator, GivesEverythingBack) {
  FakeDevice device{1 << 20};
  {
    CachingAllocator memory(device.raw(), 1 << 20);
    DeviceBuffer a = memory.allocate(1, "a");
    DeviceBuffer b = std::move(a);
    EXPECT_EQ(a.data(), nullptr);
    EXPECT_NE(b.data(), nullptr);
    EXPECT_EQ(memory.allocate(0, "nothing").data(), nullptr);
  }
  EXPECT_TRUE(device.blocks.empty());
}

}  // namespace
}  // namespace echodiff::cuda
