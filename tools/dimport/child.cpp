#include "dimport/child.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr char kDone = 'd', kFailed = 'f';  // the last byte of an answer

void limit(int resource, int64_t value) {
  const struct rlimit both = {rlim_t(value), rlim_t(value)};
  ::setrlimit(resource, &both);
}

void say(int to, const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t written = ::write(to, bytes.data() + at, bytes.size() - at);
    if (written <= 0) ::_exit(1);
    at += size_t(written);
  }
}

[[noreturn]] void be_the_child(int to, const std::function<std::string()>& work, const ChildLimits& limits) {
  limit(RLIMIT_AS, limits.bytes);
  limit(RLIMIT_CPU, limits.seconds);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);  // it writes no file
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, SIG_DFL);
  std::string answer;
  try {
    answer = work();
    answer += kDone;
  } catch (const std::exception& error) {
    answer = std::string(error.what()) + kFailed;
  }
  say(to, answer);
  ::_exit(0);  // no destructor of the parent's objects runs here
}

// All that comes before the end, or nothing where it takes too long or is too much.
bool listen(int from, const ChildLimits& limits, std::string& answer) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limits.seconds);
  std::string buffer(1 << 20, '\0');
  while (std::chrono::steady_clock::now() < end) {
    struct pollfd ready = {from, POLLIN, 0};
    if (::poll(&ready, 1, 200) <= 0) continue;
    const ssize_t got = ::read(from, buffer.data(), buffer.size());
    if (got == 0) return true;
    if (got < 0) continue;
    answer.append(buffer.data(), size_t(got));
    if (int64_t(answer.size()) > limits.answer) return false;
  }
  return false;
}

}  // namespace

std::string in_child(const std::function<std::string()>& work, const ChildLimits& limits) {
  int ends[2];
  check_input(::pipe(ends) == 0, Fault::kIo, "a pipe can't be made; close other programs");
  const pid_t child = ::fork();
  check_input(child >= 0, Fault::kIo, "a process can't be made; close other programs");
  if (child == 0) {
    ::close(ends[0]);
    be_the_child(ends[1], work, limits);
  }
  ::close(ends[1]);
  std::string answer;
  const bool whole = listen(ends[0], limits, answer);
  ::close(ends[0]);
  if (!whole) ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  check_input(whole, Fault::kBadInput, "takes more than ", limits.seconds, " s or ", limits.answer >> 20,
              " MiB to read");
  const bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !answer.empty();
  check_input(ended, Fault::kBadInput, "is damaged: its decoder failed");
  const char last = answer.back();
  answer.pop_back();
  check_input(last == kDone, Fault::kBadInput, answer);
  return answer;
}

}  // namespace echodiff
