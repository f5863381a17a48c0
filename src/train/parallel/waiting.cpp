#include "train/parallel/waiting.h"

#include <chrono>
#include <thread>

namespace echodiff {
namespace {

constexpr std::chrono::milliseconds kPatience{500};

}  // namespace

void wait_until(const std::function<bool()>& answered, const std::function<bool()>& interrupted) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  Clock::time_point signal{};
  while (!answered()) {
    const Clock::time_point now = Clock::now();
    if (signal == Clock::time_point{} && interrupted()) signal = now;
    if (signal != Clock::time_point{} && now - signal > kPatience) throw Stopped();
    if (now - start > std::chrono::microseconds(200)) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace echodiff
