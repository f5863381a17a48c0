#include "train/data/grid.h"

#include <algorithm>

#include "diffusion/samplers/plan.h"
#include "tensor/autograd.h"
#include "tensor/ops.h"
#include "train/data/image.h"
#include "train/draws.h"

namespace echodiff {

Tensor sample_grid(const Denoiser& network, const Schedule& schedule, Prediction prediction, const Tensor& condition,
                   uint64_t seed, int64_t steps) {
  const NoGrad no_grad;
  const int64_t N = condition.dim(0), H = condition.dim(2), W = condition.dim(3);
  const SamplingPlan plan =
      make_plan(schedule, {.sampler = "ddim", .steps = std::min(steps, schedule.T), .prediction = prediction});
  const Tensor start = draw_noise(seed, Draw::grid_noise, 0, {N, 1, H, W}, condition.device());
  std::vector<SampleState> states(static_cast<size_t>(N));
  std::vector<Walk> walks;
  for (int64_t n = 0; n < N; ++n) {
    states[size_t(n)].x = slice(start, 0, n, n + 1);
    walks.push_back({&plan, &states[size_t(n)]});
  }
  const auto pictures = [&] {  // (N, 1, H, W)
    std::vector<Tensor> parts;
    for (const SampleState& state : states) parts.push_back(state.x);
    return concat(parts, 0);
  };
  for (const PlanStep& row : plan.steps)
    take_steps(walks, network(pictures(), full({N}, double(row.t), DType::i64), condition));
  return pictures().to(Device::kCpu);
}

GrayImage gray_image(const Tensor& x, int64_t n) {
  const int64_t H = x.dim(2), W = x.dim(3);
  return to_gray(x.data<float>() + n * H * W, H, W);
}

GrayImage mask_image(const Tensor& condition, int64_t n) {
  constexpr int64_t kSector = 60, kLightest = 255;
  const int64_t P = condition.dim(1), H = condition.dim(2), W = condition.dim(3);
  GrayImage image{W, H, std::vector<uint8_t>(size_t(H * W), 0)};
  const float* values = condition.data<float>() + n * H * W * P;
  for (int64_t i = 0; i < H * W; ++i) {
    if (values[i * P + P - 1] != 0) image.pixels[size_t(i)] = kSector;
    for (int64_t p = 0; p + 1 < P; ++p)
      if (values[i * P + p] != 0)
        image.pixels[size_t(i)] = uint8_t(kSector + (kLightest - kSector) * (p + 1) / (P - 1));
  }
  return image;
}

GrayImage tile(const std::vector<std::vector<GrayImage>>& rows) {
  constexpr int64_t kGap = 2;
  const int64_t width = rows[0][0].width, height = rows[0][0].height;
  size_t columns = 0;
  for (const std::vector<GrayImage>& row : rows) columns = std::max(columns, row.size());
  GrayImage out{int64_t(columns) * (width + kGap) - kGap, int64_t(rows.size()) * (height + kGap) - kGap, {}};
  out.pixels.assign(size_t(out.width * out.height), 255);
  for (size_t r = 0; r < rows.size(); ++r)
    for (size_t c = 0; c < rows[r].size(); ++c)
      for (int64_t y = 0; y < height; ++y)
        std::copy_n(rows[r][c].pixels.data() + y * width, width,
                    &out.at(int64_t(r) * (height + kGap) + y, int64_t(c) * (width + kGap)));
  return out;
}

}  // namespace echodiff
