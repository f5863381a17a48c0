#include "kernels/adam.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

// One block per chunk.
__global__ void adam_kernel(AdamCoefficients by, const AdamTensor* tensors, const TensorChunk* chunks,
                            int64_t* broken) {
  const TensorChunk chunk = chunks[blockIdx.x];
  const AdamTensor tensor = tensors[chunk.tensor];
  const int64_t end = tensor.count < chunk.begin + kTensorChunk ? tensor.count : chunk.begin + kTensorChunk;
  int infinite = 0;
  for (int64_t k = chunk.begin + threadIdx.x; k < end; k += blockDim.x) {
    adam_element(by, tensor, k);
    const float theta = tensor.theta[k];
    if (tensor.rounded) store(tensor.rounded + k, theta);
    infinite |= theta - theta != 0;  // inf - inf and NaN are NaN
  }
  infinite = __syncthreads_or(infinite);
  if (threadIdx.x == 0 && infinite) broken[blockIdx.x] = 1;
}

void adam_update(const AdamCoefficients& by, const AdamTensor* tensors, const TensorChunk* chunks, int64_t chunk_count,
                 int64_t* broken, Stream stream) {
  if (chunk_count > 0)
    launch(adam_kernel, {dim3(unsigned(chunk_count)), dim3(unsigned(kBlockThreads)), 0, stream}, by, tensors, chunks,
           broken);
}

}  // namespace echodiff::cuda
