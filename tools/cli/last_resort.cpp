// The end of a program that nothing can catch: memory that ends before main, in a destructor, or while an error is
// being told. It is one line and the documented exit code, never a signal.
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <new>
#include <system_error>

#include "cli/internal.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

void say(const char* text) {
  if (::write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // there is nobody left to tell
}

// A bad_alloc that meets a noexcept function of the library, as its directory_iterator has, ends the program without
// being the current exception.
std::atomic<bool> memory_ended{false};
void remember_and_throw() {
  memory_ended = true;
  throw std::bad_alloc();
}

[[noreturn]] void end() {
  Fault fault = Fault::kInternal;
  try {
    if (std::current_exception()) throw;
    if (memory_ended) throw std::bad_alloc();
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
  std::set_new_handler(remember_and_throw);
  std::set_terminate(end);
}

}  // namespace echodiff
