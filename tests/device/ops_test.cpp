// Every op in bf16 on the device, forward and backward, by the driver and the cases that test it in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "tests/op_driver.h"

namespace echodiff {
namespace {

// The large cases are for the CPU's blocks and vectors.
bool is_tested(const OpCase& op_case) {
  return op_case.bf16 &&
         std::ranges::all_of(op_case.inputs, [](const OpInput& input) { return input.shape.count() < 2000; });
}

std::set<std::string> names_of_ops() {
  std::set<std::string> names;
  for (const OpCase& op_case : all_op_cases())
    if (is_tested(op_case)) names.insert(op_case.op);
  return names;
}

class DeviceOps : public ::testing::TestWithParam<std::string> {};

TEST_P(DeviceOps, Bf16MatchesReference) {
  for (const OpCase& op_case : all_op_cases())
    if (op_case.op == GetParam() && is_tested(op_case)) check_bf16(op_case);
}

INSTANTIATE_TEST_SUITE_P(Bf16, DeviceOps, ::testing::ValuesIn(names_of_ops()),
                         [](const ::testing::TestParamInfo<std::string>& info) { return info.param; });

}  // namespace
}  // namespace echodiff
