#include "tensor/storage.h"

#include "kernels/cuda/backend.h"
#include "kernels/error.h"
#include "kernels/memory_pool.h"

namespace echodiff {

Storage::Storage(int64_t bytes) : bytes_(bytes), device_(Device::kCpu), data_(pool_take(bytes)) {}
Storage::Storage(int64_t bytes, const std::string& what) : bytes_(bytes), device_(Device::kCuda), data_(nullptr) {
  if constexpr (cuda::kBuiltWithCuda) {
    buffer_ = cuda::allocate(size_t(bytes), what);
    data_ = buffer_.data();
  } else {
    throw Error(Fault::kNoDevice, what + ": this build has no CUDA; compute on the CPU");
  }
}
Storage::~Storage() {
  if (device_ == Device::kCpu) pool_give(data_, bytes_);
}

}  // namespace echodiff
