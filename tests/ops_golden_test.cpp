// Every op against PyTorch: all cases of golden/ops/, outputs and gradients, in f32 at the stated tolerances and in f64
// (the plain reference) to 1e-9. The lucidrains blocks are composed from ops as the networks compose them.
// The optimizers and ema files belong to the tests of train/.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/ops.h"
#include "tests/golden.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

using Json = nlohmann::json;
using Inputs = std::map<std::string, Tensor>;
using Forward = std::function<Tensor(const Inputs&)>;

constexpr double kReferenceTolerance = 1e-9;

Tensor optional(const Inputs& in, const std::string& name) { return in.contains(name) ? in.at(name) : Tensor(); }

class OpsGolden : public ::testing::Test {
 protected:
  static Json index() {
    std::ifstream stream(golden_path("ops/index.json"));
    return Json::parse(stream);
  }

  // Runs every case of golden/ops/OP.safetensors: `forward_of` gives the function for a case and its parameters.
  // `tolerances`, by case: relative errors in f32 other than the file's, for fast algorithms that have their own.
  static void run(const std::string& op, const std::function<Forward(const std::string& name, const Json&)>& forward_of,
                  const std::map<std::string, double>& tolerances = {}) {
    const GoldenFile golden("ops/" + op + ".safetensors");
    const Json cases = index().at(op);
    ASSERT_FALSE(cases.empty());
    for (const auto& [name, parameters] : cases.items()) {
      const Forward forward = forward_of(name, parameters);
      const auto own = tolerances.find(name);
      run_case(golden, name, forward, DType::f32, own == tolerances.end() ? 0 : own->second);
      run_case(golden, name, forward, DType::f64, kReferenceTolerance);
    }
  }

 private:
  // tolerance 0: the file's
  static void run_case(const GoldenFile& golden, const std::string& name, const Forward& forward, DType dtype,
                       double tolerance) {
    SCOPED_TRACE(name + " in " + name_of(dtype));
    const std::string prefix = name + "/";
    const auto expect = [&](const std::string& key, const Tensor& actual) {
      if (tolerance == 0)
        golden.expect(prefix + key, actual);
      else
        golden.expect_within(prefix + key, actual, tolerance);
    };
    Inputs inputs;
    std::set<std::string> differentiable;
    for (const NamedTensor& entry : golden.content().tensors) {
      if (!entry.name.starts_with(prefix)) continue;
      std::string key = entry.name.substr(prefix.size());
      if (key.ends_with("_f64")) key.resize(key.size() - 4);
      if (key.starts_with("g_"))
        differentiable.insert(key.substr(2));
      else if (key != "y" && key != "gy")
        inputs[key] = entry.tensor.dtype() == DType::i64 ? entry.tensor : entry.tensor.to(dtype);
    }
    for (const std::string& key : differentiable) inputs.at(key) = inputs.at(key).clone().set_requires_grad(true);
    const Tensor y = forward(inputs);
    if (dtype == DType::f32 || y.dtype() == DType::f64) expect("y", y);
    if (differentiable.empty()) return;
    y.backward(golden.at(prefix + "gy").to(dtype));
    for (const std::string& key : differentiable) expect("g_" + key, inputs.at(key).grad());
  }
};

std::array<int64_t, 2> pair_of(const Json& value) {
  if (value.is_array()) return {value[0], value[1]};
  return {value, value};
}

TEST_F(OpsGolden, Conv2d) {
  run("conv2d",
      [](const std::string&, const Json& p) -> Forward {
        const Conv2dOptions options{.stride = pair_of(p.at("stride")),
                                    .padding = pair_of(p.at("padding")),
                                    .dilation = pair_of(p.at("dilation")),
                                    .groups = p.at("groups")};
        return [=](const Inputs& in) { return conv2d(in.at("x"), in.at("w"), optional(in, "b"), options); };
      },
      {{"c48", 3e-5}});  // large enough for the Winograd path
}

TEST_F(OpsGolden, ConvTranspose2d) {
  run("conv_transpose2d", [](const std::string&, const Json& p) -> Forward {
    const ConvTranspose2dOptions options{.stride = pair_of(p.at("stride")),
                                         .padding = pair_of(p.at("padding")),
                                         .output_padding = pair_of(p.at("output_padding")),
                                         .dilation = pair_of(p.at("dilation")),
                                         .groups = p.at("groups")};
    return [=](const Inputs& in) { return conv_transpose2d(in.at("x"), in.at("w"), optional(in, "b"), options); };
  });
}

TEST_F(OpsGolden, Linear) {
  run("linear", [](const std::string&, const Json&) -> Forward {
    return [](const Inputs& in) { return linear(in.at("x"), in.at("w"), optional(in, "b")); };
  });
}

TEST_F(OpsGolden, GroupNorm) {
  run("group_norm", [](const std::string&, const Json& p) -> Forward {
    const int64_t groups = p.at("groups");
    const double eps = p.at("eps");
    return [=](const Inputs& in) { return group_norm(in.at("x"), groups, in.at("w"), in.at("b"), eps); };
  });
}

TEST_F(OpsGolden, RmsNorm) {
  run("rms_norm_lucidrains", [](const std::string&, const Json&) -> Forward {
    return [](const Inputs& in) { return rms_norm(in.at("x"), in.at("g")); };
  });
}

TEST_F(OpsGolden, LayerNorm) {
  run("layer_norm", [](const std::string&, const Json& p) -> Forward {
    const double eps = p.at("eps");
    return [=](const Inputs& in) { return layer_norm(in.at("x"), in.at("w"), in.at("b"), eps); };
  });
}

TEST_F(OpsGolden, BatchNorm) {
  const GoldenFile golden("ops/batch_norm.safetensors");
  run("batch_norm", [&](const std::string& name, const Json& p) -> Forward {
    const BatchNormOptions options{.training = p.at("training"), .momentum = p.at("momentum"), .eps = p.at("eps")};
    return [=, &golden](const Inputs& in) {
      Tensor mean = in.at("rm_before").clone(), var = in.at("rv_before").clone();
      const Tensor y = batch_norm(in.at("x"), in.at("w"), in.at("b"), mean, var, options);
      golden.expect(name + "/rm_after", mean);
      golden.expect(name + "/rv_after", var);
      return y;
    };
  });
}

TEST_F(OpsGolden, Activations) {
  const std::map<std::string, Tensor (*)(const Tensor&)> functions{
      {"silu", silu},         {"relu", relu},
      {"gelu_erf", gelu},     {"gelu_tanh", gelu_tanh},
      {"sigmoid", sigmoid},   {"tanh", tanh},
      {"softplus", softplus}, {"leaky_relu02", [](const Tensor& x) { return leaky_relu(x, 0.2); }},
  };
  run("activations", [&](const std::string& name, const Json&) -> Forward {
    return [f = functions.at(name)](const Inputs& in) { return f(in.at("x")); };
  });
}

TEST_F(OpsGolden, Softmax) {
  run("softmax", [](const std::string& name, const Json&) -> Forward {
    const int64_t dim = name == "dim1" ? 1 : -1;
    return [=](const Inputs& in) { return softmax(in.at("x"), dim); };
  });
}

// (b, heads, n, d) <-> tokens (b, n, heads * d)
Tensor tokens_of(const Tensor& x) {
  return reshape(permute(x, {0, 2, 1, 3}), Shape{x.dim(0), x.dim(2), x.dim(1) * x.dim(3)});
}
Tensor heads_of(const Tensor& tokens, int64_t heads) {
  return permute(reshape(tokens, Shape{tokens.dim(0), tokens.dim(1), heads, tokens.dim(2) / heads}), {0, 2, 1, 3});
}
// (b, heads, d, n) <-> (b, heads, n, d)
Tensor swapped(const Tensor& x) { return permute(x, {0, 1, 3, 2}); }

TEST_F(OpsGolden, Attention) {
  run("softmax_attention", [](const std::string&, const Json&) -> Forward {
    return [](const Inputs& in) {
      const int64_t heads = in.at("q").dim(1);
      return heads_of(attention(tokens_of(in.at("q")), tokens_of(in.at("k")), tokens_of(in.at("v")), heads), heads);
    };
  });
}

TEST_F(OpsGolden, LinearAttention) {
  run("linear_attention", [](const std::string&, const Json&) -> Forward {
    return [](const Inputs& in) {
      const int64_t heads = in.at("q").dim(1);
      const auto tokens = [&](const char* name) { return tokens_of(swapped(in.at(name))); };
      return swapped(heads_of(linear_attention(tokens("q"), tokens("k"), tokens("v"), heads), heads));
    };
  });
}

// The learned keys or values (heads, memories, d), as tokens for each sample: (N, memories, heads * d).
Tensor memories_of(const Tensor& heads_first, int64_t N) {
  const int64_t heads = heads_first.dim(0), count = heads_first.dim(1), d = heads_first.dim(2);
  return expand(reshape(permute(heads_first, {1, 0, 2}), Shape{1, count, heads * d}), Shape{N, count, heads * d});
}

// Norm, one 1x1 convolution for q, k and v, memories before the keys and values, attention: (N, hidden, H, W).
Tensor attend(const Inputs& in, bool linear_variant) {
  const Tensor& x = in.at("x");
  const Tensor qkv = to_tokens(conv2d(rms_norm(x, in.at("norm.g")), in.at("to_qkv.weight"), {}));
  const int64_t hidden = qkv.dim(2) / 3;
  const Tensor& memory = in.at("mem_kv");  // (2, heads, memories, d), linear: (2, heads, d, memories)
  const int64_t heads = memory.dim(1);
  const auto with_memories = [&](int64_t which) {
    Tensor own = reshape(slice(memory, 0, which, which + 1), Shape{heads, memory.dim(2), memory.dim(3)});
    if (linear_variant) own = permute(own, {0, 2, 1});
    return concat({memories_of(own, x.dim(0)), slice(qkv, 2, (which + 1) * hidden, (which + 2) * hidden)}, 1);
  };
  const Tensor q = slice(qkv, 2, 0, hidden), k = with_memories(0), v = with_memories(1);
  return to_image(linear_variant ? linear_attention(q, k, v, heads) : attention(q, k, v, heads), x.dim(2), x.dim(3));
}

Tensor block(const Inputs& in, const std::string& name, const Tensor& x, const Tensor& scale_and_shift) {
  Tensor h = conv2d(x, in.at(name + ".proj.weight"), in.at(name + ".proj.bias"), {.padding = {1, 1}});
  h = rms_norm(h, in.at(name + ".norm.g"));
  if (scale_and_shift) h = scale_shift(h, scale_and_shift);
  return silu(h);
}

Tensor resnet_block(const Inputs& in) {
  const Tensor embedding = linear(silu(in.at("t")), in.at("mlp.1.weight"), in.at("mlp.1.bias"));
  const Tensor h = block(in, "block2", block(in, "block1", in.at("x"), embedding), {});
  return h + (in.contains("res_conv.weight") ? conv2d(in.at("x"), in.at("res_conv.weight"), in.at("res_conv.bias"))
                                             : in.at("x"));
}

TEST_F(OpsGolden, LucidrainsModules) {
  const std::map<std::string, Forward> modules{
      {"attention",
       [](const Inputs& in) { return conv2d(attend(in, false), in.at("to_out.weight"), in.at("to_out.bias")); }},
      {"linear_attention",
       [](const Inputs& in) {
         return rms_norm(conv2d(attend(in, true), in.at("to_out.0.weight"), in.at("to_out.0.bias")),
                         in.at("to_out.1.g"));
       }},
      {"resnet_block", resnet_block},
      {"resnet_block_same", resnet_block},
      {"downsample",
       [](const Inputs& in) { return conv2d(pixel_unshuffle(in.at("x"), 2), in.at("1.weight"), in.at("1.bias")); }},
      {"upsample",
       [](const Inputs& in) {
         return conv2d(upsample_nearest2(in.at("x")), in.at("1.weight"), in.at("1.bias"), {.padding = {1, 1}});
       }},
  };
  run("lucidrains_modules", [&](const std::string& name, const Json&) -> Forward { return modules.at(name); });
}

TEST_F(OpsGolden, Upsample) {
  run("upsample", [](const std::string& name, const Json& p) -> Forward {
    if (name == "pixel_shuffle2") return [](const Inputs& in) { return pixel_shuffle(in.at("x"), 2); };
    if (name == "pixel_unshuffle2") return [](const Inputs& in) { return pixel_unshuffle(in.at("x"), 2); };
    const std::map<std::string, ResizeMode> modes{
        {"nearest", ResizeMode::nearest}, {"bilinear", ResizeMode::bilinear}, {"bicubic", ResizeMode::bicubic}};
    const ResizeOptions options{.mode = modes.at(p.at("mode")),
                                .align_corners = p.value("align_corners", false),
                                .antialias = p.value("antialias", false)};
    return [=](const Inputs& in) {
      const Tensor& x = in.at("x");
      if (name == "nearest2") {  // two ops for one function of PyTorch
        const Tensor y = resize(x, 2 * x.dim(2), 2 * x.dim(3), options);
        EXPECT_EQ(y.to_vector(), upsample_nearest2(x).to_vector());
        return y;
      }
      const int64_t height = p.contains("size") ? int64_t(p["size"][0]) : int64_t(p["scale_factor"]) * x.dim(2);
      const int64_t width = p.contains("size") ? int64_t(p["size"][1]) : int64_t(p["scale_factor"]) * x.dim(3);
      return resize(x, height, width, options);
    };
  });
}

TEST_F(OpsGolden, Pool) {
  const PoolOptions k2s2{.kernel = 2, .stride = 2}, k3s2p1{.kernel = 3, .stride = 2, .padding = 1};
  PoolOptions ceil = k3s2p1, uncounted = k3s2p1;
  ceil.ceil_mode = true;
  uncounted.count_include_pad = false;
  const auto max = [](const PoolOptions& o) -> Forward {
    return [=](const Inputs& in) { return max_pool2d(in.at("x"), o); };
  };
  const auto avg = [](const PoolOptions& o) -> Forward {
    return [=](const Inputs& in) { return avg_pool2d(in.at("x"), o); };
  };
  const std::map<std::string, Forward> pools{
      {"max_k3s2p1", max(k3s2p1)},
      {"max_k2", max(k2s2)},
      {"max_ceil", max(ceil)},
      {"max_dil", max({.kernel = 3, .stride = 1, .dilation = 2})},
      {"max_ties", max(k3s2p1)},
      {"avg_k2", avg(k2s2)},
      {"avg_k3s2p1", avg(k3s2p1)},
      {"avg_k3s2p1_nopad", avg(uncounted)},
      {"adaptive1", [](const Inputs& in) { return adaptive_avg_pool2d(in.at("x"), 1, 1); }},
      {"adaptive3x2", [](const Inputs& in) { return adaptive_avg_pool2d(in.at("x"), 3, 2); }},
  };
  run("pool", [&](const std::string& name, const Json&) -> Forward { return pools.at(name); });
}

TEST_F(OpsGolden, TimeEmbedding) {
  run("time_embedding", [](const std::string& name, const Json& p) -> Forward {
    const TimeEmbeddingOptions options{
        .max_period = p.value("theta", 10000.0),
        .cos_first = p.value("flip_sin_to_cos", false),
        .freq_shift = name.starts_with("lucidrains") ? 1.0 : double(p.at("downscale_freq_shift")),
        .divide_last = !name.starts_with("lucidrains")};
    const int64_t dim = p.at("dim");
    return [=](const Inputs& in) { return time_embedding(in.at("t"), dim, options); };
  });
}

TEST_F(OpsGolden, Losses) {
  using LossFunction = Tensor (*)(const Tensor&, const Tensor&, Reduction);
  const std::map<std::string, Reduction> reductions{
      {"none", Reduction::none}, {"mean", Reduction::mean}, {"sum", Reduction::sum}};
  run("losses", [&](const std::string& name, const Json& p) -> Forward {
    const Reduction reduction = reductions.at(p.value("reduction", "mean"));
    if (name == "cross_entropy") return [](const Inputs& in) { return cross_entropy(in.at("x"), in.at("t")); };
    if (name.starts_with("bce"))
      return [=](const Inputs& in) {
        return bce_with_logits(in.at("x"), in.at("t"), reduction, optional(in, "wt"), optional(in, "pw"));
      };
    const std::map<std::string, LossFunction> losses{
        {"mse_mean", mse_loss},
        {"mse_sum", mse_loss},
        {"mse_none", mse_loss},
        {"l1", l1_loss},
        {"smooth_l1", [](const Tensor& x, const Tensor& t, Reduction r) { return smooth_l1_loss(x, t, r); }}};
    return [=, loss = losses.at(name)](const Inputs& in) { return loss(in.at("x"), in.at("t"), reduction); };
  });
}

TEST_F(OpsGolden, EveryFileHasATest) {
  const std::set<std::string> here{"conv2d",        "conv_transpose2d", "linear",   "group_norm", "rms_norm_lucidrains",
                                   "layer_norm",    "batch_norm",       "softmax",  "pool",       "softmax_attention",
                                   "activations",   "linear_attention", "upsample", "losses",     "lucidrains_modules",
                                   "time_embedding"};
  const std::set<std::string> elsewhere{"optimizers", "ema"};
  const Json all = index();
  for (const auto& [op, cases] : all.items())
    EXPECT_TRUE(here.contains(op) || elsewhere.contains(op)) << "no test reads golden/ops/" << op << ".safetensors";
}

}  // namespace
}  // namespace echodiff
