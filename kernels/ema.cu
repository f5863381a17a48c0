#include "kernels/ema.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

// One block per chunk.
__global__ void ema_kernel(float share, const EmaTensor* tensors, const TensorChunk* chunks) {
  const TensorChunk chunk = chunks[blockIdx.x];
  const EmaTensor tensor = tensors[chunk.tensor];
  const int64_t end = tensor.count < chunk.begin + kTensorChunk ? tensor.count : chunk.begin + kTensorChunk;
  for (int64_t k = chunk.begin + threadIdx.x; k < end; k += blockDim.x)
    tensor.average[k] += share * (tensor.now[k] - tensor.average[k]);
}

void ema_update(float share, const EmaTensor* tensors, const TensorChunk* chunks, int64_t chunk_count, Stream stream) {
  if (chunk_count > 0)
    launch(ema_kernel, {dim3(unsigned(chunk_count)), dim3(unsigned(kBlockThreads)), 0, stream}, share, tensors, chunks);
}

}  // namespace echodiff::cuda
