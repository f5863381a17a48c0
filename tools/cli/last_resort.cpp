// The end of a program that nothing can catch: memory that ends before main, in a destructor, or while an error is
// being told. It is one line and the documented exit code, never a signal.
#include <unistd.h>

#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "cli/internal.h"
#include "kernels/error.h"
#include "kernels/memory_limit.h"

namespace echodiff {
namespace {

void say(const char* text) {
  if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // there is nobody left to tell
}

[[noreturn]] void end() {
  Fault fault = Fault::kInternal;
  try {
    if (std::current_exception()) throw;
    // What meets a noexcept function of the library, as its directory_iterator has, isn't the current exception.
    if (memory_ended()) throw std::bad_alloc();
    say("error: the program ended itself without a reason; please report it\n");
  } catch (const std::bad_alloc&) {
    fault = Fault::kOutOfMemory;
    say("error: out of memory; use smaller pictures, a smaller batch or fewer threads\n");
  } catch (const std::exception& error) {
    say("error: ");
    say(error.what());
    say("\n");
  } catch (...) {
    say("error: something that is no error was thrown; please report it\n");
  }
  ::_exit(int(fault));
}

// The loader calls it before any library and any object of the program begins: they ask for memory too.
[[gnu::section(".preinit_array"), gnu::used]] void (*const before_all)() = cli::prepare_last_resort;

}  // namespace

void cli::prepare_last_resort() {
  watch_memory();
  std::set_terminate(end);
}

}  // namespace echodiff
