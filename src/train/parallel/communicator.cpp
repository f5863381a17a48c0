#include "train/parallel/communicator.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <utility>

#include "kernels/error.h"
#include "tensor/io/text.h"
#include "train/parallel/mpi_communicator.h"
#include "train/parallel/nccl_communicator.h"

namespace echodiff {
namespace {

// The variable as a number from 0 to a million; -1 where it isn't set. Throws Error(kUsage).
int64_t number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return -1;
  const int64_t value = parse_number<int64_t>(text).value_or(-1);
  check_input(value >= 0 && value <= 1'000'000, Fault::kUsage, variable,
              ": expected a number in the environment, found '", text, "'; unset it, or launch with mpirun");
  return value;
}

}  // namespace

Communicator::Communicator(int64_t rank, int64_t size) : rank_(rank), size_(size) {
  check_input(size > 0 && (size & (size - 1)) == 0, Fault::kUsage, "ranks: expected a power of two, found ", size,
              "; launch 2, 4 or 8");
}

void Communicator::exchange(int64_t partner, const void*, void*, int64_t) {
  check(false, "exchange: one rank has no partner ", partner);
}

void Communicator::abort(int code) { std::_Exit(code); }

bool Communicator::all(bool mine) {
  std::array<char, 1> said{mine};
  combine(said, [](std::array<char, 1>& own, const std::array<char, 1>& theirs) { own[0] = own[0] && theirs[0]; });
  return said[0];
}

Launch launch_of_environment() {
  // rank, size, local rank, by MPI. SLURM_STEP_ID is set within srun, and not in a batch script.
  struct Names {
    const char *rank, *size, *local_rank;
    bool by_mpi;
  };
  const bool in_step = std::getenv("SLURM_STEP_ID") != nullptr;
  for (const Names& names :
       {Names{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", true},
        Names{"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", true}, Names{"RANK", "WORLD_SIZE", "LOCAL_RANK", false},
        Names{"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", true}}) {
    if (names.rank == std::string("SLURM_PROCID") && !in_step) continue;
    const int64_t rank = number_in(names.rank), size = number_in(names.size);
    if (rank < 0 || size < 1) continue;
    check_input(rank < size, Fault::kUsage, names.rank, ": expected a number below ", names.size, "=", size, ", found ",
                rank, "; unset both, or launch with mpirun");
    return {rank, size, std::max<int64_t>(0, number_in(names.local_rank)), names.by_mpi};
  }
  return {};
}

std::unique_ptr<Communicator> make_communicator(const std::function<bool()>& interrupted,
                                                [[maybe_unused]] Device device) {
  const Launch launch = launch_of_environment();
  if (launch.size == 1) return std::make_unique<Communicator>();
  if constexpr (kBuiltWithMpi) {
    if (launch.by_mpi) {
      std::unique_ptr<Communicator> mpi = make_mpi_communicator(launch.size, interrupted);
      if constexpr (kBuiltWithNccl)
        if (device == Device::kCuda) return make_nccl_communicator(std::move(mpi), interrupted);
      return mpi;
    }
  }
  throw Error(Fault::kUsage, concat_message(launch.size, " processes were launched together, ",
                                            kBuiltWithMpi ? "and not by MPI: launch them with mpirun or srun"
                                                          : "and this build knows no MPI: install libopenmpi-dev, "
                                                            "configure again, and launch them with mpirun"));
}

}  // namespace echodiff
