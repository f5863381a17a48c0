// ResNet-18 against torchvision, with weights made by a formula: narrow in both modes, and the full width.
#include "nn/resnet18.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/trace.h"
#include "tests/formula.h"
#include "tests/nn/network_checks.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

const ResNet18Options kNarrow{.in_channels = 3, .classes = 1, .width = 4};

StateDict copied(const StateDict& state) {
  StateDict copy;
  for (const NamedTensor& entry : state) copy.push_back({entry.name, entry.tensor.clone()});
  return copy;
}

std::vector<double> values_of(const StateDict& state, const std::string& name) {
  for (const NamedTensor& entry : state)
    if (entry.name == name) return entry.tensor.to_vector();
  ADD_FAILURE() << "no " << name;
  return {};
}

// The running statistics after one pass: 0.9 old + 0.1 batch, variance unbiased.
void expect_moved_statistics(const std::string& layer, const StateDict& before, const ActivationTrace& trace,
                             Module& network) {
  const std::string norm = layer + (layer.empty() ? "bn1" : "bn2"), conv = layer + (layer.empty() ? "conv1" : "conv2");
  const Tensor x = trace.outputs().at(conv);  // (N, C, H, W)
  const std::vector<double> values = x.to_vector(), old_mean = values_of(before, norm + ".running_mean"),
                            old_var = values_of(before, norm + ".running_var"),
                            old_count = values_of(before, norm + ".num_batches_tracked");
  const StateDict after = network.state_dict();
  const std::vector<double> mean = values_of(after, norm + ".running_mean"),
                            var = values_of(after, norm + ".running_var");
  EXPECT_EQ(values_of(after, norm + ".num_batches_tracked")[0], old_count[0] + 1);
  const int64_t N = x.dim(0), C = x.dim(1), pixels = x.dim(2) * x.dim(3);
  for (int64_t c = 0; c < C; ++c) {
    double total = 0, squares = 0;
    for (int64_t n = 0; n < N; ++n)
      for (int64_t i = 0; i < pixels; ++i) {
        const double value = values[size_t((n * C + c) * pixels + i)];
        total += value;
        squares += value * value;
      }
    const double count = double(N * pixels), batch_mean = total / count;
    const double batch_var = (squares - count * batch_mean * batch_mean) / (count - 1);
    EXPECT_NEAR(mean[size_t(c)], 0.9 * old_mean[size_t(c)] + 0.1 * batch_mean, 1e-6) << norm << " channel " << c;
    EXPECT_NEAR(var[size_t(c)], 0.9 * old_var[size_t(c)] + 0.1 * batch_var, 2e-6 * (1 + batch_var))
        << norm << " channel " << c;
  }
}

TEST(ResNet18Golden, BothModesMatchPyTorch) {
  const GoldenFile golden("resnet18/narrow4_io.safetensors");
  for (const std::string size : {"s48", "s43"}) {
    for (const std::string mode : {"eval", "train"}) {
      ResNet18 network(kNarrow, 1);
      network.to(test_device());
      network.load_state_dict(formula_weights("resnet18/narrow4_keys.json"));
      network.train(mode == "train");
      Tensor x = golden.at(size + "/x").clone();
      x.set_requires_grad(true);
      const StateDict before = copied(network.state_dict());
      const ActivationTrace trace;
      const Tensor logits = network(x);
      const Tensor loss = bce_with_logits(logits, golden.at(size + "/target"));
      loss.backward();
      const std::string prefix = size + "/" + mode + "/";
      if (mode == "train") {
        for (const char* layer : {"", "layer4.1."}) expect_moved_statistics(layer, before, trace, network);
        for (const NamedTensor& entry : network.state_dict())
          if (golden.contains(prefix + "after." + entry.name))
            golden.expect(prefix + "after." + entry.name, entry.tensor);
      }
      golden.expect(prefix + "logits", logits);
      golden.expect(prefix + "loss", loss);
      golden.expect(prefix + "grad_input", x.grad());
      expect_parameter_gradients(golden, prefix, network);
    }
  }
}

void expect_keys(const std::filesystem::path& path, Module& network) {
  std::ifstream stream(path);
  const nlohmann::json keys = nlohmann::json::parse(stream);
  const StateDict state = network.state_dict();
  ASSERT_EQ(keys.size(), state.size());
  for (size_t i = 0; i < state.size(); ++i) {
    EXPECT_EQ(keys[i].at("name"), state[i].name);
    EXPECT_EQ(Shape(keys[i].at("shape").get<std::vector<int64_t>>()), state[i].tensor.shape()) << state[i].name;
  }
}

TEST(ResNet18Golden, FullWidthMatchesPyTorch) {
  const std::vector<float> pixels = formula_stream(777, 2 * 3 * 96 * 96), few = formula_stream(961, 2 * 3 * 32 * 32);
  const Tensor x = from_values({2, 3, 96, 96}, pixels.data()), small = from_values({2, 3, 32, 32}, few.data());
  {
    ResNet18 network({.in_channels = 3}, 1);
    network.load_state_dict(formula_weights("resnet18/full_logit1_keys.json"));
    network.eval();
    expect_keys(golden_path("resnet18/full_logit1_keys.json"), network);
    const GoldenFile golden("resnet18/full_logit1_formula_io.safetensors");
    const Tensor logits = network(x);
    golden.expect("logits", logits);
    golden.expect("loss", bce_with_logits(logits, golden.at("target")));
    const Tensor loss = bce_with_logits(network(small), golden.at("target"));
    loss.backward();
    golden.expect("small/loss", loss);
    expect_parameter_gradients(golden, "small/", network);
  }
  ResNet18 network({.in_channels = 3, .classes = 1000}, 1);
  network.load_state_dict(formula_weights("resnet18/full_cls1000_keys.json"));
  network.eval();
  expect_keys(golden_path("resnet18/full_cls1000_keys.json"), network);
  const NoGrad no_grad;
  GoldenFile("resnet18/full_cls1000_formula_io.safetensors").expect("logits", network(x));
}

TEST(ResNet18, OnlyTrainingMovesTheRunningStatistics) {
  ResNet18 network({.width = 8}, 1);
  const NoGrad no_grad;
  const auto statistics = [&] {
    std::vector<double> all;
    for (const NamedTensor& entry : network.state_dict())
      if (entry.name.find("running_") != std::string::npos || entry.name.ends_with("tracked"))
        for (const double value : entry.tensor.to_vector()) all.push_back(value);
    return all;
  };
  const std::vector<float> pixels = formula_stream(5, 2 * 32 * 32);
  const Tensor x = from_values({2, 1, 32, 32}, pixels.data());
  const std::vector<double> before = statistics();
  network.eval();
  network(x);
  EXPECT_EQ(statistics(), before);
  network.train();
  network(x);
  EXPECT_NE(statistics(), before);
}

}  // namespace
}  // namespace echodiff
