// dtrain doctor: what this machine has of what training needs or would use, and the command that mends what is missing.
#include <dlfcn.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "cli/device.h"
#include "dtrain/dtrain.h"
#include "kernels/simd_kernels.h"
#include "kernels/thread_pool.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLeastDisk = 1 << 30, kLeastMemory = 1 << 30;  // bytes
constexpr int64_t kLeastFiles = 64;
constexpr double kSlowSave = 1;  // seconds
constexpr const char* kInstall = "tools/install_deps.sh";

enum class Verdict { kGood, kUnused, kMissing };  // unused: training does without

struct Finding {
  std::string what, found;
  Verdict verdict = Verdict::kGood;
  std::string mend;  // a command, or what to do
};

std::string bytes_text(int64_t bytes) {
  return bytes >= (1LL << 30) ? concat_message(bytes >> 30, " GiB") : concat_message(bytes >> 20, " MiB");
}

// The first of the folders in PATH that has the program; "" without.
std::string program_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path != nullptr ? path : "", ':'))
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  return "";
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

Finding tool(const std::string& what, const std::string& program, const std::string& mend) {
  const std::string path = program_path(program);
  return {what, path.empty() ? "none" : path, path.empty() ? Verdict::kUnused : Verdict::kGood, mend};
}

Finding instruction_sets() {
  std::string sets;
  for (const auto& [name, has] : {std::pair{"avx2", __builtin_cpu_supports("avx2")},
                                  {"fma", __builtin_cpu_supports("fma")},
                                  {"avx512f", __builtin_cpu_supports("avx512f")},
                                  {"avx512vl", __builtin_cpu_supports("avx512vl")},
                                  {"avx512dq", __builtin_cpu_supports("avx512dq")},
                                  {"avx512bw", __builtin_cpu_supports("avx512bw")}})
    if (has) sets += (sets.empty() ? "" : " ") + std::string(name);
  return {"CPU",
          concat_message(sets.empty() ? "none of avx2 and avx512" : sets, "; computes with ", simd_kernels().name),
          Verdict::kGood, ""};
}

Finding cores() {
  cpu_set_t mine;
  const int count = ::sched_getaffinity(0, sizeof mine, &mine) == 0 ? CPU_COUNT(&mine) : 0;
  const std::string quota = first_line("/sys/fs/cgroup/cpu.max");  // "200000 100000": two cores' worth of time
  const bool limited = !quota.empty() && !quota.starts_with("max");
  return {"threads",
          concat_message(thread_count(), " used, ", count, " cores allowed",
                         limited ? ", time limited to (microseconds, of) " + quota : ""),
          Verdict::kGood, ""};
}

Finding gpu() {
  std::error_code ignored;
  const bool there = fs::exists("/dev/nvidia0", ignored);
  if (!there) return {"GPU", "none", Verdict::kUnused, "not needed; the CPU computes"};
  const std::string driver = first_line("/proc/driver/nvidia/version");
  const std::string found = driver.empty() ? "an NVIDIA device" : driver;
  if (built_with_cuda()) return {"GPU", found, Verdict::kGood, ""};
  return {"GPU", found + ", not used by this build", Verdict::kUnused,
          "cmake -S . -B build -D ECHODIFF_CUDA=ON && cmake --build build"};
}

Finding cudnn() {
  void* library = ::dlopen("libcudnn.so.9", RTLD_LAZY | RTLD_LOCAL);
  if (library != nullptr) ::dlclose(library);
  return {"cuDNN", library != nullptr ? "libcudnn.so.9" : "none",
          library != nullptr ? Verdict::kGood : Verdict::kUnused,
          "needed for --device cuda alone: NVIDIA's package cudnn9-cuda-12"};
}

Finding memory() {
  const int64_t pages = ::sysconf(_SC_PHYS_PAGES), bytes = pages * ::sysconf(_SC_PAGESIZE);
  return {"memory", bytes_text(bytes), bytes >= kLeastMemory ? Verdict::kGood : Verdict::kMissing,
          concat_message("a machine of at least ", bytes_text(kLeastMemory))};
}

Finding limit(const std::string& what, __rlimit_resource_t resource, int64_t least, const std::string& option) {
  struct rlimit now = {};
  ::getrlimit(resource, &now);
  const bool open = now.rlim_cur == RLIM_INFINITY, enough = open || int64_t(now.rlim_cur) >= least;
  const bool in_bytes = resource != RLIMIT_NOFILE;
  return {what,
          open       ? "no limit"
          : in_bytes ? bytes_text(int64_t(now.rlim_cur))
                     : concat_message(now.rlim_cur),
          enough ? Verdict::kGood : Verdict::kMissing,
          option + (in_bytes ? " unlimited" : " " + std::to_string(least))};
}

Finding disk(const std::string& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  check_input(!error, Fault::kMissingInput, folder, ": ", error.message(),
              "; name the folder that runs are written to");
  const bool enough = int64_t(space.available) >= kLeastDisk;
  return {"disk", bytes_text(int64_t(space.available)) + " left in " + folder,
          enough ? Verdict::kGood : Verdict::kMissing,
          concat_message("free at least ", bytes_text(kLeastDisk), ", or choose another --out")};
}

// A save as training does it: a megabyte written, flushed and renamed.
Finding saving(const std::string& folder) {
  const std::string path = (fs::path(folder) / concat_message(".doctor", ::getpid())).string();
  try {
    const auto start = std::chrono::steady_clock::now();
    write_file_atomic(path, std::string(1 << 20, '\0'));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    ::unlink(path.c_str());
    char text[64];
    std::snprintf(text, sizeof text, "%.1f ms for 1 MiB with fsync", 1000 * seconds.count());
    return {"saving", text, seconds.count() < kSlowSave ? Verdict::kGood : Verdict::kUnused,
            "slow: write runs to a local disk, or raise --save-every"};
  } catch (const Error& error) {
    ::unlink(path.c_str());
    return {"saving", error.what(), Verdict::kMissing, "make the folder writable: chmod u+w " + folder};
  }
}

int examine(const std::string& folder) {
  const Finding findings[] = {instruction_sets(),
                              cores(),
                              memory(),
                              limit("address space", RLIMIT_AS, kLeastMemory, "ulimit -v"),
                              limit("open files", RLIMIT_NOFILE, kLeastFiles, "ulimit -n"),
                              limit("file size", RLIMIT_FSIZE, kLeastDisk, "ulimit -f"),
                              disk(folder),
                              saving(folder),
                              gpu(),
                              cudnn(),
                              tool("nvcc", "nvcc", "needed to build for a GPU alone: CUDA's toolkit"),
                              tool("compiler", "g++", kInstall),
                              tool("cmake", "cmake", kInstall),
                              tool("MPI", "mpirun", "not needed; apt-get install openmpi-bin libopenmpi-dev")};
  int64_t missing = 0;
  for (const Finding& finding : findings) {
    const char* mark = finding.verdict == Verdict::kGood ? "ok" : finding.verdict == Verdict::kUnused ? "-" : "MISSING";
    std::printf("%-14s %-8s %s%s\n", finding.what.c_str(), mark, printable(finding.found).c_str(),
                finding.verdict == Verdict::kGood ? "" : printable("; " + finding.mend).c_str());
    missing += finding.verdict == Verdict::kMissing;
  }
  std::printf(missing == 0 ? "everything that training needs is there\n" : "%lld needed things are missing\n",
              static_cast<long long>(missing));
  return missing == 0 ? 0 : 1;
}

}  // namespace

void add_doctor(Options& program) {
  static std::string folder = ".";
  Options& options =
      program.subcommand("doctor", "Looks at what this machine has; exit code 1: something needed is missing.",
                         "dtrain doctor --out runs");
  options.add("--out", folder, "folder that runs will be written to", "DIR");
  options.body([](const Common&) { return examine(folder); });
}

}  // namespace echodiff
