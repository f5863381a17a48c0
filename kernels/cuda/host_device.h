// Marks a function of plain C++ that kernels call too.
#pragma once

#if defined(__CUDACC__)
#define ECHODIFF_HOST_DEVICE __host__ __device__
#else
#define ECHODIFF_HOST_DEVICE
#endif
