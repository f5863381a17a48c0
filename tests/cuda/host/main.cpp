// kernels_host [--only PREFIX] [--seeds N] [--coverage DIR]
// Runs the kernels of every .cu file on the host and compares with the reference. --coverage: fails for a __global__
// function in DIR (kernels/) that no case launched.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "cuda/host/block.h"
#include "cuda/host/kernel_case.h"
#include "kernels/thread_pool.h"

namespace kernels_host {

void Run::fail(const char* what, int64_t i, double got, double expected) {
  if (!failure_.empty()) return;
  std::ostringstream out;
  out << what << "[" << i << "] = " << got << ", expected " << expected;
  failure_ = out.str();
}

namespace {

std::set<std::string> kernels_in(const std::filesystem::path& folder) {
  const std::regex declaration("__global__\\s+void\\s+(\\w+)\\s*\\(");
  std::set<std::string> names;
  for (const std::filesystem::directory_entry& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".cu" && entry.path().extension() != ".h") continue;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    for (std::sregex_iterator match(text.begin(), text.end(), declaration), end; match != end; ++match)
      names.insert((*match)[1]);
  }
  return names;
}

bool all_covered(const std::string& folder) {
  const std::set<std::string> kernels = kernels_in(folder), &launched = hostcuda::launched_kernels();
  bool covered = !kernels.empty();
  for (const std::string& name : kernels) {
    if (launched.count(name)) continue;
    std::printf("FAILED coverage: %s has no case\n", name.c_str());
    covered = false;
  }
  std::printf("%zu kernels in %s, %zu launched\n", kernels.size(), folder.c_str(), launched.size());
  return covered;
}

bool run_case(const KernelCase& each, int seeds) {
  double worst = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    hostcuda::set_seed(uint64_t(seed));
    Run run{uint64_t(seed)};
    each.run(run);
    worst = std::max(worst, run.worst());
    if (run.failure().empty()) continue;
    std::printf("FAILED %-34s seed %d: %s\n", each.name.c_str(), seed, run.failure().c_str());
    return false;
  }
  std::printf("ok     %-34s %d seeds, worst difference %.1e\n", each.name.c_str(), seeds, worst);
  return true;
}

}  // namespace
}  // namespace kernels_host

int main(int argc, char** argv) {
  using namespace kernels_host;
  // One thread: the references are not compiled with the race detector, which would miss the pool's hand-over.
  echodiff::set_thread_count(1);
  std::string only, folder;
  int seeds = 3;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--only") only = argv[i + 1];
    if (option == "--seeds") seeds = std::atoi(argv[i + 1]);
    if (option == "--coverage") folder = argv[i + 1];
  }
  KernelCases cases;
  add_elementwise_cases(cases);
  add_norm_cases(cases);
  add_attention_cases(cases);
  add_picture_cases(cases);
  add_loss_cases(cases);
  add_training_cases(cases);

  const auto start = std::chrono::steady_clock::now();
  int ran = 0, failed = 0;
  for (const KernelCase& each : cases) {
    if (each.name.rfind(only, 0) != 0) continue;
    ++ran;
    failed += !run_case(each, seeds);
    std::fflush(stdout);
  }
  if (!folder.empty()) failed += !all_covered(folder);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%d cases, %d failed, %lld CUDA threads in %.1f s\n", ran, failed,
              static_cast<long long>(hostcuda::threads_run()), seconds);
  return failed > 0 || ran == 0;
}
