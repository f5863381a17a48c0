// philox, sampler_update, adam, ema
#include "cuda/host/kernel_case.h"
#include "kernels/adam.h"
#include "kernels/clip_gradients.h"
#include "kernels/ema.h"
#include "kernels/philox.h"
#include "kernels/sampler_update.h"

namespace kernels_host {
namespace {

using namespace echodiff;

void noises(Run& run) {
  const int64_t rows = 3, count = 301;
  const Array<int64_t> streams = run.below(rows, 1000), steps = run.below(rows, 50);
  Array<float> out = run.unwritten<float>(rows * count);
  cuda::fill_normal(rows, count, 11, streams.data(), steps.data(), out.data(), nullptr);
  Array<float> expected(rows * count);
  for (int64_t n = 0; n < rows; ++n)
    fill_normal(expected.data() + n * count, count, 11, uint64_t(streams[n]), uint64_t(steps[n]));
  run.equal("out", out, expected);
}

void samplers(Run& run) {
  const int64_t N = 3, count = 133, n = N * count;
  for (const Prediction prediction : {Prediction::eps, Prediction::v, Prediction::x0}) {
    for (const bool learned : {false, true}) {
      const SamplerRule rule{prediction, true, !learned, learned};
      Array<PlanStep> rows(N);
      const Array<float> draws = run.normal<float>(N * 8);
      for (int64_t r = 0; r < N; ++r) {
        const float* d = draws.data() + 8 * r;
        rows[r] = {.t = r,
                   .next_t = r - 1,
                   .sqrt_alpha_bar = d[0],
                   .sqrt_one_minus_alpha_bar = d[1],
                   .sqrt_recip_alpha_bar = d[2],
                   .sqrt_recipm1_alpha_bar = 1 + d[3] * d[3],
                   .from_x = r == 1 ? 0 : d[4],
                   .from_x_start = d[5],
                   .from_eps = d[6],
                   .from_previous = r == 2 ? 0 : d[7],
                   .from_earlier = r == 1 ? 0 : d[5] * d[6],
                   .noise_scale = 0.3f,
                   .min_log_variance = -2,
                   .max_log_variance = -1,
                   .draws_noise = r != 0};
      }
      const Array<float> x = run.normal<float>(n), output = run.normal<float>(n), variance = run.normal<float>(n),
                         noise = run.normal<float>(n), previous = run.normal<float>(n), earlier = run.normal<float>(n);
      Array<float> next = run.unwritten<float>(n), expected(n);
      Array<float> x_start = run.unwritten<float>(n), eps = run.unwritten<float>(n), expected_start(n), expected_eps(n);
      const auto update_into = [&](int64_t r, Array<float>& to, Array<float>& start, Array<float>& of_eps) {
        const int64_t at = r * count;
        return SamplerUpdate{
            rule,
            rows[r],
            {x.data() + at, output.data() + at, learned ? variance.data() + at : nullptr,
             r != 0 ? noise.data() + at : nullptr, r != 2 ? previous.data() + at : nullptr,
             r != 1 ? earlier.data() + at : nullptr, to.data() + at, start.data() + at, of_eps.data() + at}};
      };
      Array<SamplerUpdate> updates(N);
      for (int64_t r = 0; r < N; ++r) {
        updates[r] = update_into(r, next, x_start, eps);
        reference::sampler_update(update_into(r, expected, expected_start, expected_eps), count);
      }
      cuda::sampler_update(updates.data(), N, count, nullptr);
      run.close("x", next, in_double(expected));
      run.close("x_start", x_start, in_double(expected_start));
      run.close("eps", eps, in_double(expected_eps));
    }
  }
}

// The tensors of a small network, by their sizes.
constexpr int64_t kSizes[] = {5, 2049, 1, 4096};

struct State {
  Array<float> theta, m, v, v_max;
};
State copy_of(const State& from) {
  State to{Array<float>(from.theta.size()), Array<float>(from.theta.size()), Array<float>(from.theta.size()),
           Array<float>(from.theta.size())};
  for (int64_t i = 0; i < from.theta.size(); ++i) {
    to.theta[i] = from.theta[i];
    to.m[i] = from.m[i];
    to.v[i] = from.v[i];
    to.v_max[i] = from.v_max[i];
  }
  return to;
}

constexpr AdamCoefficients kAdam{.step_size = 1e-2f,
                                 .root2 = 0.1f,
                                 .beta2 = 0.99f,
                                 .share1 = 0.1f,
                                 .share2 = 0.01f,
                                 .eps = 1e-8f,
                                 .l2 = 0.01f,
                                 .kept = 0.999f};

void adams(Run& run) {
  std::vector<State> device, expected;
  std::vector<Array<float>> gradients;
  std::vector<Array<Bfloat16>> rounded;
  PoolVector<int64_t> counts;
  for (const int64_t size : kSizes) {
    State state{run.normal<float>(size), run.normal<float>(size, 0.1), run.normal<float>(size, 0.1),
                run.normal<float>(size, 0.1)};
    for (int64_t i = 0; i < size; ++i) state.v[i] *= state.v[i];
    expected.push_back(copy_of(state));
    device.push_back(std::move(state));
    gradients.push_back(run.normal<float>(size));
    rounded.push_back(run.unwritten<Bfloat16>(size));
    counts.push_back(size);
  }
  gradients[1][7] = INFINITY;  // the first chunk of tensor 1 breaks
  Array<AdamTensor> tensors(int64_t(counts.size()));
  const auto describe = [&](State& state, size_t t) {
    return AdamTensor{gradients[t].data(),
                      state.theta.data(),
                      state.m.data(),
                      state.v.data(),
                      t == 3 ? state.v_max.data() : nullptr,
                      nullptr,
                      counts[t]};
  };
  for (size_t t = 0; t < counts.size(); ++t) {
    tensors[int64_t(t)] = describe(device[t], t);
    if (t != 2) tensors[int64_t(t)].rounded = rounded[t].data();
  }
  const PoolVector<TensorChunk> list = tensor_chunks(counts);
  Array<TensorChunk> chunks(int64_t(list.size()));
  Array<int64_t> broken(int64_t(list.size())), expected_broken(int64_t(list.size()));
  for (int64_t i = 0; i < chunks.size(); ++i) {
    chunks[i] = list[size_t(i)];
    broken[i] = i == 0;  // from an earlier step
  }
  cuda::adam_update(kAdam, tensors.data(), chunks.data(), chunks.size(), broken.data(), nullptr);
  for (int64_t i = 0; i < chunks.size(); ++i) {
    const size_t t = size_t(list[size_t(i)].tensor);
    const int64_t begin = list[size_t(i)].begin, end = std::min(counts[t], begin + kTensorChunk);
    expected_broken[i] = !reference::adam_update(kAdam, describe(expected[t], t), begin, end) || i == 0;
  }
  run.equal("broken", broken, expected_broken);
  for (size_t t = 0; t < counts.size(); ++t) {
    if (t == 1) expected[t].theta[7] = device[t].theta[7] = 0;  // NaN in both
    if (t == 1)
      rounded[t][7] = Bfloat16(0.0f), expected[t].m[7] = device[t].m[7] = expected[t].v[7] = device[t].v[7] = 0;
    run.close("theta", device[t].theta, in_double(expected[t].theta), 1e-6);
    run.close("exp_avg", device[t].m, in_double(expected[t].m), 1e-6);
    run.close("exp_avg_sq", device[t].v, in_double(expected[t].v), 1e-6);
    run.close("max_exp_avg_sq", device[t].v_max, in_double(expected[t].v_max), 1e-6);
    if (t != 2) run.close("rounded", rounded[t], in_double(expected[t].theta));
  }
}

void emas(Run& run) {
  std::vector<Array<float>> now, average, expected;
  PoolVector<int64_t> counts;
  Array<EmaTensor> tensors(int64_t(std::size(kSizes)));
  for (const int64_t size : kSizes) {
    now.push_back(run.normal<float>(size));
    average.push_back(run.normal<float>(size));
    expected.emplace_back(size);
    for (int64_t i = 0; i < size; ++i) expected.back()[i] = average.back()[i];
    counts.push_back(size);
  }
  for (size_t t = 0; t < counts.size(); ++t) {
    tensors[int64_t(t)] = {now[t].data(), average[t].data(), counts[t]};
    reference::ema_update(0.1f, {now[t].data(), expected[t].data(), counts[t]}, 0, counts[t]);
  }
  const PoolVector<TensorChunk> list = tensor_chunks(counts);
  Array<TensorChunk> chunks(int64_t(list.size()));
  for (int64_t i = 0; i < chunks.size(); ++i) chunks[i] = list[size_t(i)];
  cuda::ema_update(0.1f, tensors.data(), chunks.data(), chunks.size(), nullptr);
  for (size_t t = 0; t < counts.size(); ++t) run.close("average", average[t], in_double(expected[t]), 1e-6);
}

void clippings(Run& run) {
  std::vector<Array<float>> gradients, clipped;
  PoolVector<int64_t> counts;
  Array<GradientTensor> tensors(int64_t(std::size(kSizes)));
  for (const int64_t size : kSizes) {
    gradients.push_back(run.normal<float>(size));
    clipped.push_back(run.unwritten<float>(size));
    counts.push_back(size);
  }
  Array<double> expected(1);
  expected[0] = 0;
  for (size_t t = 0; t < counts.size(); ++t) {
    tensors[int64_t(t)] = {gradients[t].data(), clipped[t].data(), counts[t]};
    expected[0] += reference::gradient_squares(tensors[int64_t(t)], 0, counts[t]);
  }
  expected[0] = std::sqrt(expected[0]);
  const PoolVector<TensorChunk> list = tensor_chunks(counts);
  Array<TensorChunk> chunks(int64_t(list.size()));
  for (int64_t i = 0; i < chunks.size(); ++i) chunks[i] = list[size_t(i)];
  Array<double> sums = run.unwritten<double>(chunks.size()), norm = run.unwritten<double>(1);
  cuda::gradient_norm(tensors.data(), chunks.data(), chunks.size(), sums.data(), norm.data(), nullptr);
  run.close("norm", norm, expected, 1e-12);
  for (const double max_norm : {0.5 * expected[0], 2 * expected[0]}) {
    cuda::clip_gradients(norm.data(), max_norm, tensors.data(), chunks.data(), chunks.size(), nullptr);
    for (size_t t = 0; t < counts.size(); ++t) {
      Array<double> scaled = in_double(gradients[t]);
      for (int64_t i = 0; i < scaled.size(); ++i) scaled[i] *= std::min(1.0, max_norm / (expected[0] + 1e-6));
      run.close("clipped", clipped[t], scaled, 1e-6);
    }
  }
}

}  // namespace

void add_training_cases(KernelCases& cases) {
  cases.push_back({"philox", noises});
  cases.push_back({"sampler_update", samplers});
  cases.push_back({"adam", adams});
  cases.push_back({"ema", emas});
  cases.push_back({"clip_gradients", clippings});
}

}  // namespace kernels_host
