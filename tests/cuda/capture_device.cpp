// capture_device: prints the GPU's properties as cuDNN's JSON, to plan for it elsewhere (cudnn_deviceless, devices/).
#include <cstdio>
#include <string>

#include "kernels/cuda/context.h"
#include "kernels/error.h"

int main() {
  using namespace echodiff;
  try {
    const cuda::Descriptor device = cuda::device_properties(cuda::context().cudnn());
    int64_t count = 0;
    const auto read = [&](int64_t wanted, char* text) {
      cuda::check_cudnn(cudnnBackendGetAttribute(device.raw(), CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                                                 CUDNN_TYPE_CHAR, wanted, &count, text),
                        "reading the device's properties");
    };
    read(0, nullptr);
    std::string text(size_t(count), '\0');
    read(count, text.data());
    std::printf("%s\n", text.c_str());
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "capture_device: %s\n", error.what());
    return int(error.fault());
  }
}
