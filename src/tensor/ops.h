// Every op, in PyTorch's names and argument order. Ops are pure: they check shapes, allocate, compute and record.
// All throw Error(kInternal) naming the op and every shape when shapes don't fit. One file per op in ops/.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "tensor/autograd.h"
#include "tensor/tensor.h"

namespace echodiff {

// ---- types (ops/cast.cpp). On cuda x may be bf16: an op computes in the dtype of its activations and rounds f32
// parameters on the way, whose gradients come back in f32; norms take theirs in f32. Losses compute in f32 alone.
// x in another floating-point type, itself where it is that already; the gradient has x's. bf16: from f32 and to it.
Tensor cast(const Tensor& x, DType dtype);

// ---- convolution (ops/conv2d.cpp, ops/conv_transpose2d.cpp)
struct Conv2dOptions {
  std::array<int64_t, 2> stride{1, 1}, padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
};
// x (N, C, H, W), weight (K, C/groups, R, S), bias (K) or undefined -> (N, K, H', W')
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});
struct ConvTranspose2dOptions {
  std::array<int64_t, 2> stride{1, 1}, padding{0, 0}, output_padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
};
// x (N, C, H, W), weight (C, K/groups, R, S), bias (K) or undefined -> (N, K, H', W')
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        const ConvTranspose2dOptions& options = {});

// ---- matrices (ops/matmul.cpp, ops/linear.cpp)
Tensor matmul(const Tensor& a, const Tensor& b);  // (.., M, K) x (.., K, N), rank 2 or 3, batches equal
// x (.., in), weight (out, in), bias (out) or undefined
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

// ---- normalisation
// x (N, C, H, W)
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
// lucidrains' RMSNorm: x / max(||x||_2 over C, 1e-12) * gain * sqrt(C); x (N, C, H, W), gain (1, C, 1, 1)
Tensor rms_norm(const Tensor& x, const Tensor& gain);
// silu(norm(x) * (1 + scale) + shift) in one pass; scale_and_shift (N, 2C), or undefined for silu(norm(x))
Tensor group_norm_silu(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                       const Tensor& scale_and_shift);
Tensor rms_norm_silu(const Tensor& x, const Tensor& gain, const Tensor& scale_and_shift);
// Over the last dimension.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps = 1e-5);
struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1, eps = 1e-5;
};
// x (N, C, H, W). In training the running statistics (C) are updated in place (unbiased variance), as in PyTorch.
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean, Tensor& running_var,
                  const BatchNormOptions& options);
// relu(batch_norm(x) + residual) in one pass; residual as x, or undefined
Tensor batch_norm_relu(const Tensor& x, const Tensor& weight, const Tensor& bias, Tensor& running_mean,
                       Tensor& running_var, const Tensor& residual, const BatchNormOptions& options = {});

// ---- activations (ops/activation.cpp)
Tensor silu(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor gelu(const Tensor& x);       // x Phi(x), exact
Tensor gelu_tanh(const Tensor& x);  // the tanh approximation
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor softplus(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double slope = 0.01);
Tensor exp(const Tensor& x);
Tensor softmax(const Tensor& x, int64_t dim);

// ---- attention on tokens: q (B, Lq, heads*d), k and v (B, Lk, heads*d) -> (B, Lq, heads*d);
//      head h owns channels [h*d, (h+1)*d)
// softmax(scale * q k^T) v per head; scale 0 means d^-0.5
Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, double scale = 0);
// lucidrains' linear attention (Shen et al. 2018, arXiv:1812.01243), q (k^T v):
// q softmax over d then * d^-0.5, k softmax over Lk
Tensor linear_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads);
// The same within one sequence: qkv (B, L, 3*heads*d) holds q, k, v side by side, as one linear layer makes them.
// memory (2, M, heads*d) or undefined: keys and values that every sequence sees before its own. -> (B, L, heads*d)
Tensor self_attention(const Tensor& qkv, const Tensor& memory, int64_t heads);
Tensor linear_self_attention(const Tensor& qkv, const Tensor& memory, int64_t heads);

// ---- resizing and pooling of x (N, C, H, W)
enum class ResizeMode { nearest, bilinear, bicubic };
struct ResizeOptions {
  ResizeMode mode = ResizeMode::nearest;
  bool align_corners = false, antialias = false;
};
Tensor resize(const Tensor& x, int64_t height, int64_t width, const ResizeOptions& options = {});
Tensor upsample_nearest2(const Tensor& x);                // (N, C, 2H, 2W)
Tensor pixel_shuffle(const Tensor& x, int64_t factor);    // (N, C f f, H, W) -> (N, C, H f, W f)
Tensor pixel_unshuffle(const Tensor& x, int64_t factor);  // (N, C, H f, W f) -> (N, C f f, H, W), order (c p1 p2)
struct PoolOptions {
  int64_t kernel = 2, stride = 2, padding = 0, dilation = 1;
  bool ceil_mode = false, count_include_pad = true;
};
Tensor max_pool2d(const Tensor& x, const PoolOptions& options);  // gradient to the first maximum in row-major order
Tensor avg_pool2d(const Tensor& x, const PoolOptions& options);
Tensor adaptive_avg_pool2d(const Tensor& x, int64_t height, int64_t width);

// ---- arithmetic with broadcasting: equal ranks (sizes equal or 1), or one side a scalar tensor
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor affine(const Tensor& x, double scale, double offset);  // x * scale + offset
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator*(const Tensor& a, double s) { return affine(a, s, 0); }
inline Tensor operator+(const Tensor& a, double s) { return affine(a, 1, s); }
inline Tensor operator-(const Tensor& a, double s) { return affine(a, 1, -s); }
// x (N, C, H, W) + e (N, C), or x (1 + scale) + shift with scale_shift (N, 2C): first half scale, second half shift
Tensor add_channel(const Tensor& x, const Tensor& e);
Tensor scale_shift(const Tensor& x, const Tensor& scale_and_shift);

// ---- reductions
Tensor sum(const Tensor& x);                                    // scalar
Tensor mean(const Tensor& x);                                   // scalar
Tensor sum(const Tensor& x, const PoolVector<int64_t>& dims);   // those dimensions stay, with size 1
Tensor mean(const Tensor& x, const PoolVector<int64_t>& dims);  // the same

// ---- layout
Tensor reshape(const Tensor& x, const Shape& shape);                // one size may be -1
Tensor permute(const Tensor& x, const PoolVector<int64_t>& order);  // y.dim(i) = x.dim(order[i])
Tensor expand(const Tensor& x, const Shape& shape);                 // repeats dimensions of size 1
Tensor concat(std::span<const Tensor> parts, int64_t dim);
Tensor concat(std::initializer_list<Tensor> parts, int64_t dim);
Tensor slice(const Tensor& x, int64_t dim, int64_t begin, int64_t end);
Tensor to_tokens(const Tensor& x);  // (N, C, H, W) -> (N, H W, C): no copy, channels are last in memory
Tensor to_image(const Tensor& x, int64_t height, int64_t width);  // (N, H W, C) -> (N, C, H, W)

// ---- diffusion's own
struct TimeEmbeddingOptions {
  double max_period = 10000;
  bool cos_first = false;  // guided-diffusion and diffusers: cos | sin; lucidrains: sin | cos
  double freq_shift = 1;   // frequencies exp(-i ln(max_period) / (half - freq_shift))
  // Where float rounds: lucidrains multiplies i by the quotient; guided-diffusion and diffusers divide the product.
  bool divide_last = false;
};
// t (N) i64 -> (N, dim) f32
Tensor time_embedding(const Tensor& t, int64_t dim, const TimeEmbeddingOptions& options = {});
// Zeroes elements with probability p, scales the others by 1/(1-p).
// The mask is a function of (seed, stream) and the element.
Tensor dropout(const Tensor& x, double p, uint64_t seed, uint64_t stream);

// ---- losses: prediction x, target of the same shape. Reductions as in PyTorch.
enum class Reduction { none, mean, sum };
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean, double beta = 1);
// Stable for any x. weight and pos_weight may be undefined;
// else weight has x's shape and pos_weight x's last dimension.
Tensor bce_with_logits(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::mean,
                       const Tensor& weight = {}, const Tensor& pos_weight = {});
Tensor cross_entropy(const Tensor& x, const Tensor& classes);  // x (N, K), classes (N) i64 -> mean over N

}  // namespace echodiff
