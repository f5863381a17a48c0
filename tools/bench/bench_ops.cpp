// bench_ops: every op of the networks alone, forward and forward + backward, beside its roofline: the time that its
// products take at the machine's peak, or its operands at the machine's memory rate, whichever is more.
#include <algorithm>
#include <cstdio>

#include "bench/timing.h"
#include "cli/cli.h"
#include "tensor/ops.h"
#include "train/draws.h"

namespace echodiff {
namespace {

struct Settings {
  std::string filter;
  int64_t repeats = 15;
};

using In = const std::vector<Tensor>&;

struct OpBench {
  std::string name;
  std::vector<Shape> shapes;  // of the inputs, all of which require a gradient
  std::function<Tensor(In)> fn;
  double products = 0;  // multiply-adds of the forward pass; the backward pass counts twice that
};

OpBench convolution(int64_t N, int64_t C, int64_t K, int64_t size, int64_t kernel, int64_t stride) {
  const int64_t out = size / stride;
  const std::string name = concat_message("conv2d ", kernel, "x", kernel, stride == 2 ? " /2" : "", " ", C, " to ", K,
                                          ", ", N, " x ", size, "x", size);
  const Conv2dOptions options{.stride = {stride, stride}, .padding = {kernel / 2, kernel / 2}};
  return {name,
          {{N, C, size, size}, {K, C, kernel, kernel}, {K}},
          [=](In in) { return conv2d(in[0], in[1], in[2], options); },
          double(N * K * C * out * out * kernel * kernel)};
}

constexpr std::array<int64_t, 6> kConvolutions[] = {  // N, C, K, size, kernel, stride
    {4, 64, 64, 128, 3, 1},  {4, 32, 32, 32, 3, 1},    {4, 256, 512, 8, 3, 1},  {16, 512, 512, 7, 3, 1},
    {1, 512, 512, 7, 3, 1},  {1, 256, 256, 14, 3, 1},  {1, 128, 128, 28, 3, 1}, {1, 64, 64, 56, 3, 1},
    {1, 256, 512, 14, 3, 2}, {1, 128, 256, 28, 3, 2},  {1, 64, 128, 56, 3, 2},  {1, 3, 64, 224, 7, 2},
    {16, 64, 64, 56, 3, 1},  {16, 256, 256, 14, 3, 1}, {4, 4, 64, 64, 7, 1},    {4, 3, 64, 224, 7, 2},
    {4, 64, 384, 64, 1, 1},  {4, 128, 64, 64, 1, 1},   {4, 256, 384, 16, 1, 1}, {4, 64, 128, 56, 3, 2},
    {4, 256, 512, 14, 3, 2}};

std::vector<OpBench> benches() {
  std::vector<OpBench> list;
  for (int64_t N : {int64_t(1), int64_t(4)})
    for (int64_t C : {int64_t(64), int64_t(128), int64_t(256), int64_t(512)})
      list.push_back(convolution(N, C, C, 4096 / C, 3, 1));
  for (const auto& [N, C, K, size, kernel, stride] : kConvolutions)
    list.push_back(convolution(N, C, K, size, kernel, stride));
  const Shape map{4, 64, 64, 64}, deep{4, 256, 16, 16};
  const Shape tokens{4, 4096, 128}, keys{4, 4100, 128}, few{4, 256, 128}, few_keys{4, 260, 128};
  const double d = 32;
  list.push_back({"linear 256 to 512, 8 rows",
                  {{8, 256}, {512, 256}, {512}},
                  [](In in) { return linear(in[0], in[1], in[2]); },
                  8.0 * 256 * 512});
  list.push_back({"attention, 4 heads, 256 tokens",
                  {few, few_keys, few_keys},
                  [](In in) { return attention(in[0], in[1], in[2], 4); },
                  2.0 * 4 * 4 * 256 * 260 * d});
  list.push_back({"attention, 4 heads, 4096 tokens",
                  {tokens, keys, keys},
                  [](In in) { return attention(in[0], in[1], in[2], 4); },
                  2.0 * 4 * 4 * 4096 * 4100 * d});
  list.push_back({"linear_attention, 4096 tokens",
                  {tokens, keys, keys},
                  [](In in) { return linear_attention(in[0], in[1], in[2], 4); },
                  2.0 * 4 * 4 * 4096 * d * d});
  for (const Shape& shape : {map, deep}) {
    const int64_t C = shape[1];
    const std::string size = concat_message(", 4 x ", C, " x ", shape[2], "x", shape[3]);
    list.push_back(
        {"group_norm" + size, {shape, {C}, {C}}, [](In in) { return group_norm(in[0], 32, in[1], in[2], 1e-5); }});
    list.push_back({"rms_norm" + size, {shape, {1, C, 1, 1}}, [](In in) { return rms_norm(in[0], in[1]); }});
    list.push_back({"scale_shift" + size, {shape, {4, 2 * C}}, [](In in) { return scale_shift(in[0], in[1]); }});
    list.push_back({"silu" + size, {shape}, [](In in) { return silu(in[0]); }});
    list.push_back({"add" + size, {shape, shape}, [](In in) { return in[0] + in[1]; }});
    list.push_back({"concat" + size, {shape, shape}, [](In in) { return concat({in[0], in[1]}, 1); }});
    list.push_back({"upsample_nearest2" + size, {shape}, [](In in) { return upsample_nearest2(in[0]); }});
    list.push_back({"pixel_unshuffle" + size, {shape}, [](In in) { return pixel_unshuffle(in[0], 2); }});
  }
  return list;
}

int run(const Settings& settings, const Common& common) {
  const double peak = peak_gflops(), rate = memory_gigabytes_per_second();
  std::printf("%s; peak %.0f GFLOP/s, memory %.1f GB/s\n\n", machine().c_str(), peak, rate);
  std::printf(
      "| op | forward ms | GFLOP/s | GB/s | of roofline | forward + backward ms | GFLOP/s "
      "|\n|---|---|---|---|---|---|---|\n");
  for (const OpBench& bench : benches()) {
    if (bench.name.find(settings.filter) == std::string::npos) continue;
    std::vector<Tensor> inputs;
    int64_t elements = 0;
    for (const Shape& shape : bench.shapes) {
      inputs.push_back(draw_noise(common.seed, Draw::noise, int64_t(inputs.size()), shape).set_requires_grad(true));
      elements += shape.count();
    }
    Tensor y;
    const double forward = median_seconds(settings.repeats, [&] {
      const NoGrad no_grad;
      y = bench.fn(inputs);
    });
    elements += y.count();
    const double both = median_seconds(settings.repeats, [&] {
      bench.fn(inputs).backward(y);
      for (Tensor& input : inputs) input.set_grad({});
    });
    const double flops = 2e-9 * bench.products, bytes = 4e-9 * double(elements);
    std::printf("| %s | %.3f | %.0f | %.1f | %.0f %% | %.3f | %.0f |\n", bench.name.c_str(), 1e3 * forward,
                flops / forward, bytes / forward, 100 * std::max(flops / peak, bytes / rate) / forward, 1e3 * both,
                3 * flops / both);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace echodiff

int main(int argc, char** argv) {
  using namespace echodiff;
  Settings settings;
  return run_program(
      argc, argv, {"bench_ops", "Times every op of the networks on this machine.", "bench_ops --filter conv2d"},
      [&](Options& options) {
        options.add("--filter", settings.filter, "only ops whose line contains this", "TEXT");
        options.add("--repeats", settings.repeats, "timed repetitions; the median counts", {1, 1000}, "runs");
        options.body([&](const Common& common) { return run(settings, common); });
      });
}
