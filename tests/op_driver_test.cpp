// Runs every check of op_driver.h on every op, and makes sure that no op of tensor/ops.h was forgotten.
#include "tests/op_driver.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tensor/observe.h"

namespace echodiff {
namespace {

std::set<std::string> names_of_ops() {
  std::set<std::string> names;
  for (const OpCase& op_case : all_op_cases()) names.insert(op_case.op);
  return names;
}

class OpTest : public ::testing::TestWithParam<std::string> {
 protected:
  void for_each_case(void (*check_case)(const OpCase&), bool (*wanted)(const OpCase&)) {
    for (const OpCase& op_case : all_op_cases())
      if (op_case.op == GetParam() && wanted(op_case)) check_case(op_case);
  }
};

bool always(const OpCase&) { return true; }

TEST_P(OpTest, Gradcheck) {
  for_each_case(check_gradients, [](const OpCase& op_case) { return op_case.gradcheck; });
}
TEST_P(OpTest, FastPathMatchesReference) { for_each_case(check_fast_path, always); }
TEST_P(OpTest, ThreadCountsAgree) { for_each_case(check_thread_counts, always); }
TEST_P(OpTest, RowsAreIndependent) { for_each_case(check_rows, always); }

INSTANTIATE_TEST_SUITE_P(Ops, OpTest, ::testing::ValuesIn(names_of_ops()),
                         [](const ::testing::TestParamInfo<std::string>& info) { return info.param; });

std::string text_of(const std::filesystem::path& path) {
  std::ifstream stream(path);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::set<std::string> matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), pattern); match != std::sregex_iterator(); ++match)
    found.insert((*match)[1].str());
  return found;
}

// Collects the names that record() saw.
class Names : public Observer {
 public:
  void forward(const char* op, std::span<const Tensor>, const Tensor&) override { seen.insert(op); }
  std::set<std::string> seen;
};

TEST(OpCoverage, EveryDeclaredOpHasACase) {
  const std::set<std::string> declared =
      matches(text_of(ECHODIFF_SOURCE_DIR "/src/tensor/ops.h"), std::regex("\nTensor ([a-z0-9_]+)\\("));
  ASSERT_GT(declared.size(), 40U);
  const std::set<std::string> covered = names_of_ops();
  for (const std::string& op : declared) EXPECT_TRUE(covered.contains(op)) << "no case in tests/ops/ for " << op;
  for (const std::string& op : covered) EXPECT_TRUE(declared.contains(op)) << "tensor/ops.h does not declare " << op;
}

TEST(OpCoverage, EveryRecordedNameIsGradchecked) {
  std::set<std::string> recorded;
  for (const std::filesystem::directory_entry& file :
       std::filesystem::directory_iterator(ECHODIFF_SOURCE_DIR "/src/tensor/ops"))
    if (file.path().extension() == ".cpp")
      recorded.merge(matches(text_of(file.path()), std::regex("record\\(\\s*\"([^\"]+)\"")));
  ASSERT_FALSE(recorded.empty());
  Names names;
  for (const OpCase& op_case : all_op_cases())
    if (op_case.gradcheck) op_case.fn(make_inputs(op_case, DType::f64));
  recorded.erase("time_embedding");  // of integers: there is no gradient to check
  recorded.erase("cast");            // difference quotients would see the steps of the lesser type
  for (const std::string& op : recorded)
    EXPECT_TRUE(names.seen.contains(op)) << "no gradcheck reaches record(\"" << op << "\"";
}

}  // namespace
}  // namespace echodiff
