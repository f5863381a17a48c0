// Patches: the network on squares of pixels as channels, as they are or in Haar's basis.
#include "nn/patches.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "nn/denoiser.h"
#include "tests/nn/network_checks.h"

namespace echodiff {
namespace {

constexpr const char* kNetworks[] = {"lucidrains", "lucidrains1", "guided", "spade", "diffusers"};

DenoiserOptions options_of(const std::string& network, int64_t patch, const std::string& basis = "shuffle") {
  const bool spade = network == "spade";
  return {.architecture = spade ? "guided" : network,
          .planes = 2,
          .condition = spade ? "spade" : "concat",
          .image_size = 16,
          .patch = patch,
          .patch_basis = basis,
          .dim = 32,
          .mults = {1, 2}};
}

Denoiser denoiser(const DenoiserOptions& options) {
  Denoiser network(options, 3);
  perturb_parameters(network, 0.05, 4);  // the guided network begins by predicting nothing
  return network;
}

Tensor random_rows(int64_t channels, uint64_t seed) {
  return normal_rows({2, channels, 16, 16}, seed, {0, 1}, {0, 0}, Device::kCpu);
}

void expect_near(const Tensor& found, const Tensor& expected, double tolerance, const std::string& what) {
  ASSERT_EQ(found.shape(), expected.shape()) << what;
  const std::vector<double> a = found.to_vector(), b = expected.to_vector();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << what;
}

// The same weights, given the squares by hand.
TEST(Patches, AreChannelsFromTheFirstConvolutionToTheLast) {
  const NoGrad no_grad;
  const Tensor x = random_rows(1, 5), t = from_indices({40, 900}), c = random_rows(2, 9);
  for (const std::string name : kNetworks)
    for (const int64_t patch : {2, 4})
      for (const bool learned : {false, true}) {
        DenoiserOptions options = options_of(name, patch);
        options.learned_variance = learned;
        const Denoiser network = denoiser(options);
        options.patch = 1;
        options.image_channels = patch * patch;
        options.planes = 2 * patch * patch;
        options.image_size = 16 / patch;
        const Denoiser inner = denoiser(options);
        const Tensor expected = pixel_shuffle(inner(pixel_unshuffle(x, patch), t, pixel_unshuffle(c, patch)), patch);
        const Tensor output = network(x, t, c);
        EXPECT_EQ(output.shape(), Shape({2, learned ? 2 : 1, 16, 16}));
        EXPECT_EQ(output.to_vector(), expected.to_vector()) << name << " " << patch;
      }
}

TEST(Patches, GoWithDeepCache) {
  const NoGrad no_grad;
  const Tensor x = random_rows(1, 5), t = from_indices({40, 900}), c = random_rows(2, 9);
  for (const std::string name : {"lucidrains", "guided", "spade"})
    for (const char* basis : {"shuffle", "haar"}) {
      const Denoiser network = denoiser(options_of(name, 2, basis));
      Tensor deep;
      const std::vector<double> whole = network(x, t, c, &deep).to_vector();
      EXPECT_EQ(deep.shape()[3], 8);
      EXPECT_EQ(network(x, t, c, &deep).to_vector(), whole);
    }
}

TEST(Patches, FitTheSizeOrAreRefused) {
  for (const int64_t patch : {0, 3, 8})
    EXPECT_THROW(Denoiser({.image_size = 32, .patch = patch, .dim = 32, .mults = {1, 2}}, 3), Error) << patch;
  EXPECT_THROW(Denoiser({.image_size = 20, .patch = 4, .dim = 32, .mults = {1, 2}}, 3), Error);
  EXPECT_THROW(Denoiser(options_of("guided", 1, "haar"), 3), Error);
  EXPECT_THROW(Denoiser(options_of("guided", 2, "fourier"), 3), Error);
}

TEST(HaarPatches, TheMatrixIsOrthonormal) {
  for (const int64_t side : {1, 2, 4}) {
    const int64_t n = side * side;
    const std::vector<double> rows = haar_matrix(side);
    ASSERT_EQ(int64_t(rows.size()), n * n);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double product = 0;
        for (int64_t k = 0; k < n; ++k) product += rows[size_t(i * n + k)] * rows[size_t(j * n + k)];
        EXPECT_EQ(product, i == j ? 1 : 0) << side << ": " << i << ", " << j;  // powers of two, so exactly
      }
  }
}

TEST(HaarPatches, RowsAreMeanAndDifferencesFromCoarseToFine) {
  const std::vector<double> two = haar_matrix(2), four = haar_matrix(4);
  EXPECT_EQ(two, (std::vector<double>{.5, .5, .5, .5, .5, -.5, .5, -.5, .5, .5, -.5, -.5, .5, -.5, -.5, .5}));
  for (int64_t k = 0; k < 16; ++k) {
    EXPECT_EQ(four[size_t(k)], .25);
    EXPECT_EQ(four[size_t(16 + k)], k % 4 < 2 ? .25 : -.25);  // the whole square, along x
    // Row 5 is the second quarter's along x, row 15 the last quarter's along both.
    EXPECT_EQ(four[size_t(5 * 16 + k)], k == 2 || k == 6 ? .5 : k == 3 || k == 7 ? -.5 : 0);
    EXPECT_EQ(four[size_t(15 * 16 + k)], k == 10 || k == 15 ? .5 : k == 11 || k == 14 ? -.5 : 0);
  }
}

TEST(HaarPatches, JoinUndoesSplit) {
  const NoGrad no_grad;
  const Tensor x = random_rows(3, 5);
  for (const int64_t side : {2, 4}) {
    Patches patches(side, "haar");
    const Tensor split = patches.split(x), pixels = pixel_unshuffle(x, side);
    EXPECT_EQ(split.shape(), Shape({2, 3 * side * side, 16 / side, 16 / side}));
    expect_near(sum(split * split, {1}), sum(pixels * pixels, {1}), 1e-5, "length of each place");
    expect_near(patches.join(split), x, 1e-6, "join");
    // The first channel of the second channel of x is the mean of each square, times its side.
    const Tensor means = avg_pool2d(slice(x, 1, 1, 2), {.kernel = side, .stride = side});
    expect_near(slice(split, 1, side * side, side * side + 1), means * double(side), 1e-6, "mean");
    patches.to(DType::f64);
    expect_near(patches.join(patches.split(x.to(DType::f64))), x.to(DType::f64), 1e-14, "in double");
  }
}

TEST(HaarPatches, AreInNoStateDict) {
  Denoiser haar(options_of("lucidrains", 4, "haar"), 3), pixel(options_of("lucidrains", 4), 3);
  const StateDict one = haar.state_dict(), other = pixel.state_dict();
  ASSERT_EQ(one.size(), other.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].name, other[i].name);
    EXPECT_EQ(one[i].tensor.to_vector(), other[i].tensor.to_vector()) << one[i].name;
  }
  EXPECT_EQ(haar.parameter_count(), pixel.parameter_count());
}

// Along dimension `dim` of a convolution's weight or bias, channels of squares times the matrix from the left.
Tensor turned(const Tensor& weight, int64_t dim, const Tensor& matrix) {
  const int64_t n = matrix.dim(0), groups = weight.dim(dim) / n;
  std::vector<Tensor> parts;
  for (int64_t g = 0; g < groups; ++g) {
    const Tensor part = slice(weight, dim, g * n, (g + 1) * n);
    if (weight.rank() == 1)
      parts.push_back(reshape(matmul(matrix, reshape(part, {n, 1})), {n}));
    else if (dim == 0)
      parts.push_back(reshape(matmul(matrix, reshape(part, {n, -1})), part.shape()));
    else
      parts.push_back(permute(turned(permute(part, {1, 0, 2, 3}), 0, matrix), {1, 0, 2, 3}));
  }
  return concat(parts, dim);
}

struct Ends {
  std::string first, last;  // convolutions that see the channels of a square
};
Ends ends_of(const std::string& architecture) {
  if (architecture == "guided") return {"input_blocks.0.0", "out.2"};
  if (architecture == "diffusers") return {"conv_in", "conv_out"};
  return {"init_conv", "final_conv"};
}

// With the matrix M: the first convolution of the network of pixels is W M, the last one transposed(M) W.
TEST(HaarPatches, EqualANetworkOfPixelsWithTurnedEnds) {
  const NoGrad no_grad;
  const Tensor x = random_rows(1, 5).to(DType::f64), t = from_indices({40, 900});
  const Tensor c = random_rows(2, 9).to(DType::f64);
  for (const std::string name : {"lucidrains", "lucidrains1", "guided", "diffusers"})
    for (const int64_t patch : {2, 4}) {
      DenoiserOptions options = options_of(name, patch, "haar");
      options.learned_variance = patch == 2;
      Denoiser haar = denoiser(options);
      options.patch_basis = "shuffle";
      Denoiser pixel = denoiser(options);
      haar.to(DType::f64), pixel.to(DType::f64);
      const int64_t n = patch * patch;
      const Tensor transposed = permute(from_vector({n, n}, haar_matrix(patch), DType::f64), {1, 0});
      StateDict weights = haar.state_dict();
      const Ends ends = ends_of(options.architecture);
      for (NamedTensor& weight : weights) {
        if (weight.name == ends.first + ".weight") weight.tensor = turned(weight.tensor, 1, transposed);
        if (weight.name.starts_with(ends.last + ".")) weight.tensor = turned(weight.tensor, 0, transposed);
      }
      const Tensor expected = haar(x, t, c);
      EXPECT_NE(pixel(x, t, c).to_vector(), expected.to_vector());
      pixel.load_state_dict(weights);
      expect_near(pixel(x, t, c), expected, 1e-11, name + concat_message(" ", patch));
    }
}

TEST(HaarPatches, GradientsMatchDifferences) {
  const auto random = [](int64_t channels, uint64_t seed) {
    return normal_rows({1, channels, 8, 8}, seed, {0}, {0}, Device::kCpu).to(DType::f64);
  };
  const Tensor x = random(1, 5), t = from_indices({40}), c = random(2, 9), dy = random(1, 6);
  for (const std::string name : {"lucidrains", "spade"}) {
    DenoiserOptions options = options_of(name, 2, "haar");
    options.image_size = 8;
    if (name == "lucidrains") options.dim = 8;
    Denoiser network = denoiser(options);
    network.to(DType::f64);
    check_parameter_gradients(network, [&] { return sum(network(x, t, c) * dy); }, {.every = 8});
  }
}

TEST(HaarPatches, TheGradientOfSplitIsJoin) {
  Patches patches(4, "haar");
  patches.to(DType::f64);
  Tensor x = random_rows(1, 5).to(DType::f64);
  x.set_requires_grad(true);
  const Tensor y = patches.split(x);
  const Tensor dy = normal_rows(y.shape(), 8, {0, 1}, {0, 0}, Device::kCpu).to(DType::f64);
  sum(y * dy).backward();
  expect_near(x.grad(), patches.join(dy), 1e-14, "dx");
}

}  // namespace
}  // namespace echodiff
