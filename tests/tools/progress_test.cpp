// Progress on a terminal never goes beyond its width: a line that wraps is not drawn over, but again and again.
#include "cli/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace echodiff {
namespace {

// The lines that a bar draws on a terminal of so many columns (0: one that doesn't say).
std::vector<std::string> drawn_at(unsigned short columns) {
  int terminal = -1, program = -1;
  struct winsize size = {24, columns, 0, 0};
  EXPECT_EQ(::openpty(&terminal, &program, nullptr, nullptr, &size), 0);
  const int stderr_before = ::dup(STDERR_FILENO);
  ::dup2(program, STDERR_FILENO);
  {
    Progress progress("training the network of r\xC3\xB6ntgen pictures", 100000, "steps");
    progress.update(50000, "loss 0.0123456789, a detail\nof two lines");
  }
  ::dup2(stderr_before, STDERR_FILENO);
  ::close(stderr_before);
  ::close(program);
  ::fcntl(terminal, F_SETFL, O_NONBLOCK);
  std::string text(4096, '\0');
  const ssize_t count = ::read(terminal, text.data(), text.size());
  ::close(terminal);
  text.resize(size_t(std::max<ssize_t>(count, 0)));
  std::vector<std::string> lines;
  constexpr std::string_view kStart = "\r\033[K";
  for (size_t at = text.find(kStart); at != std::string::npos; at = text.find(kStart, at)) {
    at += kStart.size();
    lines.push_back(text.substr(at, text.find('\r', at) - at));
  }
  return lines;
}

int64_t letters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (uint8_t(c) & 0xC0) != 0x80; });
}

TEST(Progress, StaysWithinTheTerminal) {
  for (const unsigned short columns : {1, 10, 30, 40, 79}) {
    const std::vector<std::string> lines = drawn_at(columns);
    ASSERT_EQ(lines.size(), 1u) << columns;
    EXPECT_LT(letters(lines[0]), std::max<int64_t>(columns, 2)) << lines[0];
  }
  EXPECT_NE(drawn_at(79)[0].find("50000/100000 steps"), std::string::npos);  // the numbers go before the bar
  EXPECT_NE(drawn_at(200)[0].find("[####"), std::string::npos);
  EXPECT_NE(drawn_at(200)[0].find("a detail\\nof two lines"), std::string::npos);
  ::setenv("COLUMNS", "25", 1);
  EXPECT_LT(letters(drawn_at(0)[0]), 25);
  ::unsetenv("COLUMNS");
}

}  // namespace
}  // namespace echodiff
