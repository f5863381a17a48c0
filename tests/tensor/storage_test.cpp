// Storage: alignment, reuse of freed blocks, accounting.
#include "tensor/storage.h"

#include <gtest/gtest.h>

#include "kernels/error.h"
#include "kernels/memory_pool.h"
#include "tensor/tensor.h"

namespace echodiff {
namespace {

TEST(Storage, IsAligned) {
  for (const int64_t bytes : {0, 1, 63, 64, 65, 4096, 100003}) {
    Storage storage(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(storage.data()) % 64, 0U) << bytes;
    EXPECT_EQ(storage.bytes(), bytes);
  }
}

TEST(Storage, FreedBlocksAreReused) {
  { Storage warm(1 << 20); }
  const int64_t before = memory_statistics().system_allocations;
  for (int i = 0; i < 10; ++i) Storage again(1 << 20);
  EXPECT_EQ(memory_statistics().system_allocations, before);
}

TEST(Storage, CountsWhatIsInUse) {
  const int64_t before = memory_statistics().in_use;
  {
    const Tensor x = empty({1000});
    EXPECT_GE(memory_statistics().in_use, before + 4000);
    EXPECT_GE(memory_statistics().peak, memory_statistics().in_use);
  }
  EXPECT_EQ(memory_statistics().in_use, before);
}

TEST(Storage, RunningOutNamesTheSizes) {
  try {
    Storage impossible(int64_t{1} << 60);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kOutOfMemory);
    EXPECT_NE(std::string(error.what()).find("wanted"), std::string::npos);
  }
}

}  // namespace
}  // namespace echodiff
