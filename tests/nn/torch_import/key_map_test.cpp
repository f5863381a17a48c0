// Patterns and the accounting of the key tables.
#include "nn/torch_import/key_map.h"

#include <gtest/gtest.h>

#include "kernels/error.h"

namespace echodiff {
namespace {

TEST(KeyMap, Patterns) {
  EXPECT_TRUE(matches("downs.#.{0,1}.mlp", "downs.12.1.mlp"));
  EXPECT_TRUE(matches("{mid,up.#}.*.weight", "up.3.conv.weight"));
  EXPECT_TRUE(matches("opt.**", "opt.state.0.step"));
  EXPECT_FALSE(matches("downs.#.{0,1}.mlp", "downs.x.1.mlp"));
  EXPECT_FALSE(matches("downs.#.{0,1}.mlp", "downs..1.mlp"));
  EXPECT_FALSE(matches("downs.#.{0,1}.mlp", "downs.1.2.mlp"));
  EXPECT_FALSE(matches("*.weight", "a.b.weight"));
  EXPECT_FALSE(matches("a", "ab"));
  EXPECT_EQ(nearest_name("layer1.conv.wieght", {"fc.weight", "layer1.conv.weight", "layer2.conv.bias"}),
            "layer1.conv.weight");
}

StateDict network() {
  return {{"a.to_q.weight", zeros({2, 3})}, {"b.bias", zeros({2})}, {"b.num_batches_tracked", zeros({}, DType::i64)}};
}
const KeyMap kMap{"test", {{"a.query.*", "a.to_q.*"}, {"a.q.*", "a.to_q.*"}, {"b.*"}}, {"betas"}};

std::string refusal(const StateDict& source) {
  try {
    fit_weights(kMap, source, network(), "F");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(KeyMap, RenamesReshapesAndIgnores) {
  const FittedWeights fitted =
      fit_weights(kMap, {{"betas", zeros({9})}, {"b.bias", full({2, 1}, 4)}, {"a.query.weight", full({2, 3, 1, 1}, 5)}},
                  network(), "F");
  ASSERT_EQ(fitted.weights.size(), 3u);
  EXPECT_EQ(fitted.weights[0].name, "a.to_q.weight");
  EXPECT_EQ(fitted.weights[0].tensor.shape(), (Shape{2, 3}));
  EXPECT_EQ(fitted.weights[0].tensor.to_vector(), std::vector<double>(6, 5));
  EXPECT_EQ(fitted.weights[1].tensor.shape(), (Shape{2}));
  EXPECT_EQ(fitted.ignored, std::vector<std::string>{"betas"});
  EXPECT_EQ(fitted.missing, std::vector<std::string>{"b.num_batches_tracked"});
}

TEST(KeyMap, SaysEverythingThatIsAmissAtOnce) {
  const std::string message = refusal({{"b.bais", zeros({2})},
                                       {"loss.fn", zeros({1})},
                                       {"a.query.weight", zeros({3, 2})},
                                       {"a.q.weight", zeros({2, 3})}});
  for (const char* part :
       {"F: does not fit test", "unknown: b.bais (2) (nearest: b.bias), loss.fn (1)", "given twice: a.to_q.weight",
        "misshapen: a.query.weight is (3, 2), expected (2, 3)", "not in the file: b.bias"})
    EXPECT_NE(message.find(part), std::string::npos) << part << "\n" << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace echodiff
