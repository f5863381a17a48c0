#include "kernels/clip_gradients.h"

#include "kernels/cuda/device.h"

namespace echodiff::cuda {

__device__ int64_t end_of(const TensorChunk& chunk, int64_t count) {
  return count < chunk.begin + kTensorChunk ? count : chunk.begin + kTensorChunk;
}

// One block per chunk.
__global__ void gradient_squares_kernel(const GradientTensor* tensors, const TensorChunk* chunks, double* sums) {
  const TensorChunk chunk = chunks[blockIdx.x];
  const GradientTensor tensor = tensors[chunk.tensor];
  const int64_t end = end_of(chunk, tensor.count);
  double sum = 0;
  for (int64_t k = chunk.begin + threadIdx.x; k < end; k += blockDim.x)
    sum += double(tensor.gradient[k]) * double(tensor.gradient[k]);
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// One block for all chunks.
__global__ void gradient_norm_kernel(int64_t chunk_count, const double* sums, double* norm) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < chunk_count; i += blockDim.x) sum += sums[i];
  sum = block_sum(sum);
  if (threadIdx.x == 0) *norm = sqrt(sum);
}

// One block per chunk.
__global__ void clip_gradients_kernel(const double* norm, double max_norm, const GradientTensor* tensors,
                                      const TensorChunk* chunks) {
  const TensorChunk chunk = chunks[blockIdx.x];
  const GradientTensor tensor = tensors[chunk.tensor];
  const int64_t end = end_of(chunk, tensor.count);
  const float factor = clip_factor(*norm, max_norm);
  for (int64_t k = chunk.begin + threadIdx.x; k < end; k += blockDim.x) tensor.clipped[k] = tensor.gradient[k] * factor;
}

void gradient_norm(const GradientTensor* tensors, const TensorChunk* chunks, int64_t chunk_count, double* sums,
                   double* norm, Stream stream) {
  const dim3 block{unsigned(kBlockThreads)};
  if (chunk_count > 0)
    launch(gradient_squares_kernel, {dim3(unsigned(chunk_count)), block, 0, stream}, tensors, chunks, sums);
  launch(gradient_norm_kernel, {dim3(1), block, 0, stream}, chunk_count, sums, norm);
}

void clip_gradients(const double* norm, double max_norm, const GradientTensor* tensors, const TensorChunk* chunks,
                    int64_t chunk_count, Stream stream) {
  if (chunk_count > 0)
    launch(clip_gradients_kernel, {dim3(unsigned(chunk_count)), dim3(unsigned(kBlockThreads)), 0, stream}, norm,
           max_norm, tensors, chunks);
}

}  // namespace echodiff::cuda
