// Work on a file that nobody trusts, in a process of its own: what breaks there breaks nothing here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace echodiff {

struct ChildLimits {
  int64_t bytes = int64_t{6} << 30;  // address space
  int64_t seconds = 300;             // of the clock; and of its core
  int64_t answer = int64_t{2} << 30;
};

// What `work` returns in the child. Throws Error(kBadInput) with the message of what `work` threw, or saying that it
// crashed, took too long or said too much.
std::string in_child(const std::function<std::string()>& work, const ChildLimits& limits = {});

}  // namespace echodiff
