// What this build can compute on, for a program that reports it.
#pragma once

namespace echodiff {

bool built_with_cuda();

}  // namespace echodiff
