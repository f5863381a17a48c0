// Segregated fit with boundary tags (TLSF: Masmano et al. 2004): free blocks hang in lists by size, 32 lists to each
// power of two; a block is cut to the size wanted, and merges with its free neighbours when it comes back.
#include "kernels/memory_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "kernels/error.h"
#include "kernels/memory_limit.h"

namespace echodiff {
namespace {

// With AddressSanitizer each block is the system's own: it sees what goes past an end, or comes after a release.
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSegments = false;
#else
constexpr bool kSegments = true;
#endif

constexpr int64_t kUnit = 64;  // sizes are multiples of it
constexpr int64_t kPage = 4096, kHugePage = int64_t{1} << 21;
constexpr int64_t kMost = int64_t{1} << 46;

// In front of each block's memory.
struct alignas(kUnit) Block {
  Block* before;  // its neighbour in the segment; null for the first
  int64_t size;   // bytes of memory after this; 0 at the end of a segment
  bool free;
  Block *next, *previous;  // in a list of free blocks

  char* memory() { return reinterpret_cast<char*>(this + 1); }
  Block* after() { return reinterpret_cast<Block*>(memory() + size); }
};
static_assert(sizeof(Block) == kUnit);

// Segments, the first of at least `first` bytes, and the blocks in them.
class Arena {
 public:
  explicit Arena(int64_t first) : first_(first) {}

  // Null where no free block is large enough.
  Block* take(int64_t size) {
    Block* block = find(size);
    if (block == nullptr) return nullptr;
    unlink(block);
    if (block->size >= size + 2 * kUnit) {
      Block* rest = new (block->memory() + size) Block{block, block->size - size - kUnit, false, nullptr, nullptr};
      block->size = size;
      rest->after()->before = rest;
      link(rest);
    }
    block->free = false;
    return block;
  }
  void give(Block* block) {
    if (Block* next = block->after(); next->free) {
      unlink(next);
      block->size += kUnit + next->size;
    }
    if (Block* before = block->before; before != nullptr && before->free) {
      unlink(before);
      before->size += kUnit + block->size;
      block = before;
    }
    block->after()->before = block;
    link(block);
  }
  // A segment with room for `size`; its bytes, 0 where the system refuses. As large as all before it: a block can't
  // reach from one segment into the next, and pages cost nothing before they are touched. Under a limit just large
  // enough.
  int64_t grow(int64_t size) {
    const int64_t needed = (size + 2 * kUnit + kPage - 1) / kPage * kPage;
    for (const int64_t bytes : {std::max({needed, first_, held_}), needed}) {
      const bool huge = bytes >= 16 * kHugePage;
      void* memory = std::aligned_alloc(size_t(huge ? kHugePage : kPage), size_t(bytes));
      if (memory == nullptr) continue;
      if (huge) madvise(memory, size_t(bytes), MADV_HUGEPAGE);  // a hint: fewer address translations
      Block* block = new (memory) Block{nullptr, bytes - 2 * kUnit, false, nullptr, nullptr};
      new (block->after()) Block{block, 0, false, nullptr, nullptr};
      link(block);
      held_ += bytes;
      return bytes;
    }
    return 0;
  }

 private:
  static constexpr int64_t kSteps = 32;  // lists to a power of two
  static constexpr int64_t kLists = 38 * kSteps;

  static int64_t list_of(int64_t size) {
    const int64_t units = size / kUnit;
    const int shift = std::max(0, int(std::bit_width(uint64_t(units))) - 6);
    return shift * kSteps + (units >> shift);
  }
  void link(Block* block) {
    const size_t list = size_t(list_of(block->size));
    block->free = true;
    block->previous = nullptr;
    block->next = lists_[list];
    if (block->next != nullptr) block->next->previous = block;
    lists_[list] = block;
    occupied_[list / 64] |= uint64_t{1} << list % 64;
  }
  void unlink(Block* block) {
    const size_t list = size_t(list_of(block->size));
    if (block->next != nullptr) block->next->previous = block->previous;
    (block->previous != nullptr ? block->previous->next : lists_[list]) = block->next;
    if (lists_[list] == nullptr) occupied_[list / 64] &= ~(uint64_t{1} << list % 64);
    block->free = false;
  }
  // The smallest that is large enough, of several the first in memory (of small ones, which may be many, any).
  Block* find(int64_t size) {
    size_t list = size_t(list_of(size));
    const bool of_one_size = list < 2 * kSteps;
    if (Block* block = of_one_size ? lists_[list] : best_of(lists_[list], size)) return block;
    ++list;
    for (size_t word = list / 64; word < occupied_.size(); ++word) {
      const uint64_t lists = occupied_[word] & (word == list / 64 ? ~uint64_t{0} << list % 64 : ~uint64_t{0});
      if (lists != 0) return best_of(lists_[word * 64 + size_t(std::countr_zero(lists))], size);
    }
    return nullptr;
  }
  static Block* best_of(Block* list, int64_t size) {
    const auto order = [](const Block* block) { return std::pair(block->size, block); };
    Block* best = nullptr;
    for (Block* block = list; block != nullptr; block = block->next)
      if (block->size >= size && (best == nullptr || order(block) < order(best))) best = block;
    return best;
  }

  int64_t first_, held_ = 0;
  std::array<Block*, size_t(kLists)> lists_{};
  std::array<uint64_t, size_t(kLists / 64)> occupied_{};
};

class Pool {
 public:
  void* take(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int64_t size = rounded(std::min(bytes, kMost));
    const bool fits = bytes <= kMost && (limit_ == 0 || statistics_.in_use + size <= limit_);
    void* memory = !fits ? nullptr : kSegments ? from_segments(size) : std::aligned_alloc(kUnit, size_t(size));
    check_input(memory != nullptr, Fault::kOutOfMemory, "out of memory: wanted ", bytes, " bytes, in use ",
                statistics_.in_use, ", peak ", statistics_.peak, ", at most ", limit_,
                "; use a smaller batch, smaller pictures or a narrower network");
    statistics_.in_use += size;
    statistics_.peak = std::max(statistics_.peak, statistics_.in_use);
    return memory;
  }
  void give(void* memory, int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const int64_t size = rounded(bytes);
    if (kSegments)
      arena(size).give(static_cast<Block*>(memory) - 1);
    else
      std::free(memory);
    statistics_.in_use -= size;
  }
  void set_limit(int64_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    limit_ = bytes;
  }
  MemoryStatistics statistics() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return statistics_;
  }

 private:
  static int64_t rounded(int64_t bytes) { return (std::max<int64_t>(bytes, 1) + kUnit - 1) / kUnit * kUnit; }
  // Small objects live apart: one that stays would keep large blocks from merging.
  Arena& arena(int64_t size) { return size <= 4096 ? small_ : large_; }

  void* from_segments(int64_t size) {
    Block* block = arena(size).take(size);
    if (block == nullptr) {
      const int64_t more = arena(size).grow(size);
      if (more == 0) return nullptr;
      statistics_.held += more;
      ++statistics_.system_allocations;
      block = arena(size).take(size);
    }
    return block->memory();
  }

  std::mutex mutex_;
  Arena small_{64 * kPage}, large_{512 * kHugePage};
  MemoryStatistics statistics_;
  int64_t limit_ = 0;  // bytes in use, 0 for no bound
};

// Never destroyed: tensors with static lifetime may outlive any order of destruction.
Pool& pool() {
  static Pool& pool = *new Pool;
  return pool;
}

}  // namespace

void* pool_take(int64_t bytes) { return pool().take(bytes); }
void pool_give(void* memory, int64_t bytes) noexcept { pool().give(memory, bytes); }
void set_memory_limit(int64_t bytes) { pool().set_limit(bytes); }
MemoryStatistics memory_statistics() { return pool().statistics(); }

}  // namespace echodiff
