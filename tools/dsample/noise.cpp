#include "dsample/noise.h"

#include <algorithm>

#include "kernels/error.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"

namespace echodiff {

NoiseSource GivenNoise::source() const {
  const Tensor first = x_T, rows = noise;
  const auto fill = [first, rows](int64_t index, int64_t draw, float* out, int64_t count) {
    const int64_t samples = first.dim(0);
    const float* from =
        draw == 0 ? first.data<float>() + index * count : rows.data<float>() + ((draw - 1) * samples + index) * count;
    std::copy_n(from, count, out);
  };
  return {fill};
}

GivenNoise read_given_noise(const std::string& path, int64_t steps) {
  const SafetensorsFile file = read_safetensors(path);
  const auto take = [&](const char* key) {
    const Tensor& tensor = file.at(key);
    check_input(tensor.dtype() == DType::f32, Fault::kBadInput, path, ": ", key, ": expected f32, found ",
                name_of(tensor.dtype()));
    return tensor;
  };
  GivenNoise given{take("x_T"), take("noise"), {}};
  const Tensor cond = take("cond");
  const Shape& x = given.x_T.shape();
  check_input(x.rank() == 4 && x[0] >= 1 && x[1] == 1, Fault::kBadInput, path, ": x_T: expected (N, 1, H, W), found ",
              x);
  const Shape& rows = given.noise.shape();
  check_input(
      rows.rank() == 5 && rows[0] >= steps && rows[1] == x[0] && rows[2] == 1 && rows[3] == x[2] && rows[4] == x[3],
      Fault::kBadInput, path, ": noise: expected at least ", steps, " rows of x_T's ", x, ", found ", rows);
  check_input(cond.rank() == 4 && cond.dim(0) == x[0] && cond.dim(2) == x[2] && cond.dim(3) == x[3], Fault::kBadInput,
              path, ": cond: expected (", x[0], ", P, ", x[2], ", ", x[3], "), found ", cond.shape());
  for (int64_t n = 0; n < x[0]; ++n) given.conditions.push_back(slice(cond, 0, n, n + 1));
  return given;
}

Trace::Trace(const SamplingPlan& plan, int64_t count, int64_t height, int64_t width, const NoiseSource& noise)
    : times_(empty({plan.count()}, DType::i64)),
      x_(zeros({plan.count() + 1, count, 1, height, width})),
      eps_(zeros({plan.count(), count, 1, height, width})),
      x_start_(zeros({plan.count(), count, 1, height, width})),
      count_(count),
      pixels_(height * width) {
  for (int64_t i = 0; i < plan.count(); ++i) times_.mutable_data<int64_t>()[i] = plan.steps[size_t(i)].t;
  for (int64_t n = 0; n < count; ++n) noise(n, 0, x_.mutable_data<float>() + n * pixels_, pixels_);
}

void Trace::keep(int64_t index, int64_t step, const SampleState& state) {
  const int64_t at = (step * count_ + index) * pixels_;
  const auto keep_one = [&](const Tensor& picture, Tensor& all, int64_t place) {
    std::copy_n(picture.to(Device::kCpu).data<float>(), pixels_, all.mutable_data<float>() + place);
  };
  keep_one(state.x, x_, at + count_ * pixels_);
  keep_one(state.eps, eps_, at);
  keep_one(state.x_start, x_start_, at);
}

void Trace::write(const std::string& path) const {
  write_safetensors(path, {{"times", times_}, {"x", x_}, {"eps", eps_}, {"x_start", x_start_}}, {});
}

}  // namespace echodiff
