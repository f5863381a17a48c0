// Where a tensor's memory is.
#pragma once

#include <string>

namespace echodiff {

enum class Device { kCpu, kCuda };

inline Device parse_device(const std::string& name) { return name == "cuda" ? Device::kCuda : Device::kCpu; }
inline const char* name_of(Device device) { return device == Device::kCpu ? "cpu" : "cuda"; }

}  // namespace echodiff
