// The lists of op cases, one per file beside this one.
#pragma once

#include <vector>

#include "tests/op_driver.h"

namespace echodiff {

std::vector<OpCase> convolution_cases();
std::vector<OpCase> matrix_cases();
std::vector<OpCase> norm_cases();
std::vector<OpCase> activation_cases();
std::vector<OpCase> attention_cases();
std::vector<OpCase> resize_cases();
std::vector<OpCase> arithmetic_cases();
std::vector<OpCase> layout_cases();
std::vector<OpCase> loss_cases();
std::vector<OpCase> diffusion_cases();

}  // namespace echodiff
