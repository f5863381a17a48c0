#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr double kTerminalPeriod = 0.1;  // seconds
constexpr double kLogPeriod = 10;
constexpr int kBarWidth = 24;

std::string rate_text(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, rate >= 100 ? "%.0f" : rate >= 1 ? "%.1f" : "%.3f", rate);
  return text;
}

// Of the terminal; the last column stays free, where some terminals begin a new line.
int64_t columns() {
  struct winsize size = {};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col - 1;
  const char* given = std::getenv("COLUMNS");
  return std::max<int64_t>(1, parse_number<int64_t>(given != nullptr ? given : "").value_or(80) - 1);
}

// Cut to so many letters of UTF-8.
std::string cut(const std::string& text, int64_t letters) {
  size_t at = 0;
  for (; at < text.size(); ++at)
    if ((uint8_t(text[at]) & 0xC0) != 0x80 && letters-- == 0) break;
  return text.substr(0, at);
}

}  // namespace

std::string format_duration(double seconds) {
  char text[48];
  if (seconds < 59.95) {
    std::snprintf(text, sizeof text, "%.1f s", std::max(seconds, 0.0));
    return text;
  }
  const int64_t whole = std::llround(std::min(seconds, 3e9));
  if (whole < 3600) {
    std::snprintf(text, sizeof text, "%d min %02d s", int(whole / 60), int(whole % 60));
  } else {
    std::snprintf(text, sizeof text, "%d h %02d min", int(whole / 3600), int(whole % 3600 / 60));
  }
  return text;
}

Progress::Progress(std::string what, int64_t total, std::string unit, bool quiet, int64_t first)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(total),
      first_(first),
      done_(first),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      next_(terminal_ ? 0 : kLogPeriod) {}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, const std::string& detail) {
  done_ = done;
  if (quiet_) return;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  if (seconds < next_ && !(terminal_ && done >= total_)) return;
  detail_ = detail;
  next_ = seconds + (terminal_ ? kTerminalPeriod : kLogPeriod);
  print(seconds);
}

void Progress::print(double seconds) {
  const double share = total_ > 0 ? std::clamp(double(done_) / double(total_), 0.0, 1.0) : 1.0;
  // The first moments tell nothing about the speed.
  const double rate = seconds > 0.2 ? double(done_ - first_) / seconds : 0;
  std::string bar;
  if (terminal_) {
    const int filled = int(share * kBarWidth);
    bar = " [" + std::string(size_t(filled), '#') + std::string(size_t(kBarWidth - filled), '.') + "]";
  }
  std::string numbers = " " + std::to_string(done_) + "/" + std::to_string(total_) + " " + unit_;
  if (rate > 0) {
    numbers += ", " + rate_text(rate) + "/s";
    if (done_ < total_) numbers += ", " + format_duration(double(total_ - done_) / rate) + " left";
  }
  if (!detail_.empty()) numbers += ", " + detail_;
  std::string line = printable(what_ + bar + numbers);
  if (terminal_) {
    const int64_t width = columns();
    if (int64_t(line.size()) > width) line = printable(what_ + numbers);  // a narrow one does without the bar
    std::fprintf(stderr, "\r\033[K%s", cut(line, width).c_str());
    drawn_ = true;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
}

void Progress::finish() {
  if (drawn_) std::fputc('\n', stderr);
  drawn_ = false;
}

}  // namespace echodiff
