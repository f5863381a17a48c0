// How much memory tensors may take: without a bound a process that asks for too much is ended by the system, and what
// it knew is lost.
#pragma once

#include <cstdint>

namespace echodiff {

// Bytes that the pool (memory_pool.h) may have in use; what would exceed them throws Error(kOutOfMemory). 0: no bound.
void set_memory_limit(int64_t bytes);

// Bytes that this process can have at most: the machine's memory, or its control group's, if that is less; 0 where
// nobody says it.
int64_t machine_memory();

// Remembers from now on that operator new found no memory. Who must not throw, or swallows what is thrown (noexcept
// functions of the library, streams), says something else then, or nothing.
void watch_memory();
bool memory_ended();

}  // namespace echodiff
