#include "kernels/cuda/caching_allocator.h"

#include <algorithm>

#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

constexpr size_t kGranule = 512;            // every size is a multiple, as cudaMalloc's alignment is
constexpr size_t kSmall = size_t(1) << 20;  // up to here any larger small block will do
double mebibytes(size_t bytes) { return double(bytes) / double(1 << 20); }

// The smallest block that fits, unless most of it would lie idle.
std::multimap<size_t, void*>::iterator fitting(std::multimap<size_t, void*>& blocks, size_t wanted) {
  const auto found = blocks.lower_bound(wanted);
  return found != blocks.end() && found->first <= std::max(2 * wanted, kSmall) ? found : blocks.end();
}

}  // namespace

HeldMemory::~HeldMemory() {
  for (const auto& [bytes, data] : free_) owner_->take_back(data, bytes);
}

void CachingAllocator::hold_for(HeldMemory* held) {
  held_ = held;
  if (held) held->owner_ = this;
}

DeviceBuffer::~DeviceBuffer() {
  if (owner_) owner_->take_back(data_, bytes_);
}

DeviceBuffer CachingAllocator::allocate(size_t bytes, const std::string& what) {
  if (bytes == 0) return {};
  const size_t wanted = (bytes + kGranule - 1) / kGranule * kGranule;
  if (held_) {
    if (const auto found = fitting(held_->free_, wanted); found != held_->free_.end()) {
      const auto [size, data] = *found;
      held_->free_.erase(found);
      return DeviceBuffer(this, data, size);
    }
  }
  if (const auto found = fitting(free_, wanted); found != free_.end()) {
    const auto [size, data] = *found;
    free_.erase(found);
    cached_ -= size;
    in_use_ += size;
    peak_ = std::max(peak_, in_use_);
    return DeviceBuffer(this, data, size);
  }
  void* data = fresh(wanted);
  if (!data) {
    release_cached();
    data = fresh(wanted);
  }
  check_input(data != nullptr, Fault::kOutOfMemory, "cuda: out of device memory for ", what, ": wanted ",
              mebibytes(wanted), " MiB, in use ", mebibytes(in_use_), " MiB, peak ", mebibytes(peak_), " MiB, limit ",
              mebibytes(limit_), " MiB; use a smaller batch or picture");
  in_use_ += wanted;
  peak_ = std::max(peak_, in_use_);
  return DeviceBuffer(this, data, wanted);
}

void* CachingAllocator::fresh(size_t bytes) {
  return in_use_ + cached_ + bytes <= limit_ ? raw_.allocate(bytes) : nullptr;
}

void CachingAllocator::take_back(void* data, size_t bytes) {
  if (held_) {
    held_->free_.emplace(bytes, data);
    return;
  }
  in_use_ -= bytes;
  cached_ += bytes;
  free_.emplace(bytes, data);
}

void CachingAllocator::release_cached() {
  for (const auto& [bytes, data] : free_) raw_.release(data);
  free_.clear();
  cached_ = 0;
}

}  // namespace echodiff::cuda
