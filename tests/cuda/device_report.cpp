// device_report [FILE]: prints what the GPU is, and which libraries were found for it, as one JSON line. Into FILE go
// its properties as cuDNN's JSON, to plan for it elsewhere (cudnn_deviceless, devices/). Exit code 69 without a GPU.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "kernels/cuda/check.h"
#include "kernels/cuda/context.h"
#include "kernels/cuda/toolkit.h"
#include "kernels/error.h"

namespace {

using namespace echodiff;

std::string cudnn_properties() {
  const cuda::Descriptor device = cuda::device_properties(cuda::context().cudnn());
  int64_t count = 0;
  const auto read = [&](int64_t wanted, char* text) {
    cuda::check_cudnn(cudnnBackendGetAttribute(device.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                               wanted, &count, text),
                      "reading the device's properties");
  };
  read(0, nullptr);
  std::string text(size_t(count), '\0');
  read(count, text.data());
  return text.substr(0, text.find('\0'));
}

nlohmann::ordered_json report() {
  int driver = 0, runtime = 0, device = 0;
  cuda::context();
  cuda::check_cuda(cudaDriverGetVersion(&driver));
  cuda::check_cuda(cudaRuntimeGetVersion(&runtime));
  cudaDeviceProp properties;
  cuda::check_cuda(cudaGetDeviceProperties(&properties, device));
  const auto version = [](int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
  };
  nlohmann::ordered_json line = {{"device", properties.name},
                                 {"compute", std::to_string(properties.major) + "." + std::to_string(properties.minor)},
                                 {"multiprocessors", properties.multiProcessorCount},
                                 {"memory_gib", double(properties.totalGlobalMem >> 20) / 1024},
                                 {"driver_supports_cuda", version(driver)},
                                 {"cuda_runtime", version(runtime)},
                                 {"cudnn", cudnnGetVersion()}};
  for (const cuda::ToolkitLibrary& each : cuda::toolkit_libraries()) line["libraries"][each.name] = each.path;
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::cout << report().dump() << std::endl;
    if (argc > 1) {
      std::ofstream file(argv[1]);
      file << cudnn_properties() << "\n";
      check_input(file.good(), Fault::kIo, argv[1], ": can't be written");
    }
    cuda::close_context();
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "device_report: %s\n", error.what());
    return int(error.fault());
  }
}
