// Module: names, strict loading, dtypes, initial values, and the denoiser's options.
#include "nn/module.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "nn/denoiser.h"
#include "nn/linear.h"

namespace echodiff {
namespace {

class TwoLayers : public Module {
 public:
  TwoLayers(int64_t hidden, uint64_t seed) : first_(3, hidden), second_(hidden, 2) { initialise(seed); }
  void visit(Visitor& v) override {
    v.child("0", first_);
    v.child("2", second_);
  }

 private:
  Linear first_, second_;
};

std::vector<std::string> names_of(const StateDict& state) {
  std::vector<std::string> names;
  for (const NamedTensor& entry : state) names.push_back(entry.name);
  return names;
}

Tensor entry_of(Module& module, const std::string& name) {
  for (const NamedTensor& entry : module.state_dict())
    if (entry.name == name) return entry.tensor;
  ADD_FAILURE() << "no " << name;
  return {};
}

std::string message_of(const std::function<void()>& f, Fault fault) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), fault);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(Module, ListsTensorsInPyTorchsOrder) {
  TwoLayers network(4, 1);
  EXPECT_EQ(names_of(network.state_dict()), (std::vector<std::string>{"0.weight", "0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(network.parameter_count(), 4 * 3 + 4 + 2 * 4 + 2);
}

TEST(Module, LoadingReportsEveryProblemAndChangesNothing) {
  TwoLayers network(4, 1);
  const std::vector<double> before = entry_of(network, "0.bias").to_vector();
  const std::string message = message_of(
      [&] {
        network.load_state_dict(
            {{"0.weight", zeros({4, 5})}, {"0.bias", zeros({4})}, {"2.weight", zeros({2, 4})}, {"extra", zeros({1})}});
      },
      Fault::kBadInput);
  EXPECT_NE(message.find("0.weight is (4, 5), expected (4, 3)"), std::string::npos) << message;
  EXPECT_NE(message.find("2.bias is missing"), std::string::npos) << message;
  EXPECT_NE(message.find("extra (1) is unexpected"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(entry_of(network, "0.bias").to_vector(), before);
}

TEST(Module, LoadsAcrossDtypesIntoTheSameTensors) {
  TwoLayers source(4, 1), target(4, 2);
  const Tensor handle = entry_of(target, "2.weight");
  source.to(DType::f64);
  EXPECT_EQ(entry_of(source, "2.weight").dtype(), DType::f64);
  EXPECT_TRUE(entry_of(source, "2.weight").requires_grad());
  target.load_state_dict(source.state_dict());
  EXPECT_EQ(handle.dtype(), DType::f32);
  EXPECT_EQ(handle.to_vector(), entry_of(source, "2.weight").to_vector());
}

TEST(Module, InitialValuesDependOnSeedAndNameOnly) {
  TwoLayers narrow(4, 9), wide(64, 9), again(4, 9), other(4, 10);
  EXPECT_EQ(entry_of(narrow, "0.weight").to_vector(), entry_of(again, "0.weight").to_vector());
  EXPECT_NE(entry_of(narrow, "0.weight").to_vector(), entry_of(other, "0.weight").to_vector());
  // The first numbers of the stream: as many or more neighbours and layers change nothing.
  EXPECT_EQ(entry_of(narrow, "0.weight").to_vector()[5], entry_of(wide, "0.weight").to_vector()[5]);
  double largest = 0;
  for (const double value : entry_of(wide, "2.weight").to_vector()) largest = std::max(largest, std::abs(value));
  EXPECT_LE(largest, 1 / std::sqrt(64.0));
  EXPECT_GT(largest, 0.95 / std::sqrt(64.0));
}

TEST(Module, TrainReachesEveryChild) {
  Denoiser network({.dim = 8, .mults = {1}, .dropout = 0.5}, 1);
  EXPECT_TRUE(network.training());
  network.eval();
  EXPECT_FALSE(network.training());
  const NoGrad no_grad;
  const Tensor x = full({1, 1, 4, 4}, 1), c = full({1, 3, 4, 4}, 1), t = from_indices({1});
  network.seed_dropout(1);
  const std::vector<double> first = network(x, t, c).to_vector();
  network.seed_dropout(2);
  EXPECT_EQ(network(x, t, c).to_vector(), first);
}

TEST(Denoiser, NamesAreTheWrappedNetworks) {
  Denoiser denoiser({.dim = 8}, 1);
  Unet unet({.dim = 8}, 1);
  EXPECT_EQ(names_of(denoiser.state_dict()), names_of(unet.state_dict()));
  EXPECT_EQ(entry_of(denoiser, "mid_attn.mem_kv").to_vector(), entry_of(unet, "mid_attn.mem_kv").to_vector());
  Denoiser guided({.architecture = "guided", .dim = 32, .mults = {1}}, 1);
  EXPECT_EQ(guided.state_dict().front().name, "time_embed.0.weight");
}

TEST(Denoiser, ShapesFollowTheOptions) {
  const NoGrad no_grad;
  const Tensor x = full({2, 1, 8, 8}, 0.1), c = full({2, 3, 8, 8}, 1), t = from_indices({1, 2});
  const Denoiser group({.architecture = "lucidrains1", .dim = 8, .mults = {1, 2}, .learned_variance = true}, 1);
  EXPECT_EQ(group(x, t, c).shape(), (Shape{2, 2, 8, 8}));
  const Denoiser bare({.planes = 0, .dim = 8, .mults = {1, 2}}, 1);
  EXPECT_EQ(bare(x, t, {}).shape(), (Shape{2, 1, 8, 8}));
  EXPECT_THROW(bare(x, t, c), Error);
  EXPECT_THROW(group(x, t, {}), Error);
  EXPECT_THROW(group(x, t, full({2, 2, 8, 8}, 1)), Error);
}

TEST(Denoiser, SpadeFollowsTheMasks) {
  Denoiser network({.architecture = "guided", .condition = "spade", .dim = 32, .mults = {1, 1}, .blocks = 1}, 1);
  const NoGrad no_grad;
  for (NamedTensor& parameter : network.parameters())
    if (parameter.name.starts_with("out.2") || parameter.name.find("out_layers.2") != std::string::npos)
      parameter.tensor.copy_from(full(parameter.tensor.shape(), 0.01));
  const Tensor x = full({1, 1, 8, 8}, 0.1), t = from_indices({1});
  const std::vector<double> without = network(x, t, zeros({1, 3, 8, 8})).to_vector();
  EXPECT_NE(network(x, t, full({1, 3, 8, 8}, 1)).to_vector(), without);
}

TEST(Denoiser, RefusesOptionsThatDontFit) {
  const auto refused = [](const DenoiserOptions& options) {
    return message_of([&] { Denoiser(options, 1); }, Fault::kUsage);
  };
  EXPECT_NE(refused({.architecture = "unet"}).find("got unet"), std::string::npos);
  EXPECT_NE(refused({.condition = "spade"}).find("guided"), std::string::npos);
  EXPECT_NE(refused({.architecture = "guided", .dim = 48}).find("multiple of 32"), std::string::npos);
  EXPECT_NE(refused({.image_size = 30}).find("multiple of 4"), std::string::npos);
  EXPECT_NE(refused({.mults = {}}).find("mults"), std::string::npos);
  EXPECT_NE(refused({.blocks = 3}).find("blocks"), std::string::npos);
  EXPECT_NE(refused({.dropout = 1.5}).find("dropout"), std::string::npos);
}

}  // namespace
}  // namespace echodiff
