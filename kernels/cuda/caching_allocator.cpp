#include "kernels/cuda/caching_allocator.h"

#include <algorithm>

#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

constexpr size_t kGranule = 512;            // every size is a multiple, as cudaMalloc's alignment is
constexpr size_t kSmall = size_t(1) << 20;  // up to here any larger small block will do
double mebibytes(size_t bytes) { return double(bytes) / double(1 << 20); }

}  // namespace

DeviceBuffer::~DeviceBuffer() {
  if (owner_) owner_->take_back(data_, bytes_);
}

DeviceBuffer CachingAllocator::allocate(size_t bytes, const std::string& what) {
  if (bytes == 0) return {};
  const size_t wanted = (bytes + kGranule - 1) / kGranule * kGranule;
  // The smallest cached block that fits, unless most of it would lie idle.
  const auto found = free_.lower_bound(wanted);
  if (found != free_.end() && found->first <= std::max(2 * wanted, kSmall)) {
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
