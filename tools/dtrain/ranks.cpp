#include "dtrain/ranks.h"

#include <chrono>
#include <thread>

#include "tensor/device.h"

namespace echodiff {

int on_ranks(const Common& common, const std::function<int(Communicator& ranks, const Common& common)>& train) {
  const std::unique_ptr<Communicator> ranks = make_communicator(interrupted, parse_device(common.device));
  if (ranks->size() == 1) return train(*ranks, common);
  Common own = common;
  own.quiet = common.quiet || !ranks->first();
  try {
    return train(*ranks, own);
  } catch (...) {
    // A fault that all have, such as a missing folder, the first tells alone: it ends the others meanwhile.
    if (!ranks->first()) std::this_thread::sleep_for(std::chrono::seconds(3));
    const int code = report_exception(program_name(common));
    ranks->abort(code);
    return code;
  }
}

int64_t gpu_of_rank() { return launch_of_environment().local_rank; }

void declare_micro_batches(Options& options, int64_t& count) {
  options.add("--micro-batches", count,
              "a step's batch is computed in so many parts, a power of two, one after the other or on as many ranks "
              "(mpirun); the result depends on the parts and not on the ranks",
              {1, 4096}, "parts");
}

void check_micro_batches(int64_t count, int64_t batch) {
  check_input((count & (count - 1)) == 0, Fault::kUsage, "--micro-batches: expected a power of two, found ", count);
  check_input(batch % count == 0, Fault::kUsage, "--micro-batches: a batch of ", batch, " can't be parted into ", count,
              "; try --batch ", (batch / count + 1) * count);
}

}  // namespace echodiff
