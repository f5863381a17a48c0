// The ranks of one training run, as MPI's mpirun or SLURM's srun starts them: how many there are, and how two of them
// exchange bytes. All else (sums, agreement) is made of that, in an order that does not depend on the library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "tensor/device.h"

namespace echodiff {

// One rank, and all there are: the base of those that know others.
class Communicator {
 public:
  Communicator() = default;
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  int64_t rank() const { return rank_; }
  int64_t size() const { return size_; }  // a power of two
  bool first() const { return rank_ == 0; }

  // Sends `bytes` bytes to `partner` and takes as many from it, host memory both. Throws Error(kIo) where the partner
  // can't be reached, Stopped where a signal came and the partner has not answered half a second later.
  virtual void exchange(int64_t partner, const void* mine, void* theirs, int64_t bytes);
  // A partner is gone: the end waits for nobody.
  void lose() { lost_ = true; }
  bool lost() const { return lost_; }
  // Ends every rank's process, this one's with `code`, and does not return.
  virtual void abort(int code);

  // Every rank's numbers become combine(its own, a partner's), partner after partner, until all are in each. All ranks
  // end with the same bits where combine gives the same either way round.
  template <class Numbers, class Combine> void combine(Numbers& mine, const Combine& combine) {
    Numbers theirs = mine;
    for (int64_t distance = 1; distance < size_; distance *= 2) {
      exchange(rank_ ^ distance, mine.data(), theirs.data(), int64_t(mine.size() * sizeof mine[0]));
      combine(mine, theirs);
    }
  }
  // Whether every rank says yes. Every rank asks, at the same place.
  bool all(bool mine);

 protected:
  Communicator(int64_t rank, int64_t size);

 private:
  int64_t rank_ = 0, size_ = 1;
  bool lost_ = false;
};

// What the environment says of the ranks that were launched together: mpirun's, torchrun's or srun's variables.
struct Launch {
  int64_t rank = 0, size = 1, local_rank = 0;  // local: on this machine
  bool by_mpi = false;                         // else by a launcher that MPI knows nothing of
};
Launch launch_of_environment();

// The ranks that this process was launched with. `interrupted`: whether a signal came. `device`: what they compute on;
// GPUs are linked by NCCL where the build has it. Throws Error: kUsage where they are no power of two, or this build
// can't reach them; kIo.
std::unique_ptr<Communicator> make_communicator(const std::function<bool()>& interrupted, Device device);

}  // namespace echodiff
