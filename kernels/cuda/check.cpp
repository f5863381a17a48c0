#include "kernels/cuda/check.h"

#include "kernels/error.h"

namespace echodiff::cuda {
namespace {

Fault fault_of(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation: return Fault::kOutOfMemory;
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion: return Fault::kNoDevice;
    default: return Fault::kInternal;
  }
}

const char* advice(cudaError_t status) {
  if (is_sticky(status)) return "; the device's context is lost, start again from the last checkpoint";
  if (fault_of(status) == Fault::kNoDevice) return "; no usable GPU: install or update its driver, or use --device cpu";
  return "";
}

}  // namespace

bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorLaunchFailure:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorContextIsDestroyed: return true;
    default: return false;
  }
}

void check_cuda(cudaError_t status, std::source_location where) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // or the next check reports this failure again
  throw Error(fault_of(status),
              concat_message("cuda: ", cudaGetErrorName(status), " (", cudaGetErrorString(status), ") at ",
                             where.file_name(), ":", where.line(), advice(status)),
              where);
}

}  // namespace echodiff::cuda
