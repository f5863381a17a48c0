#include "train/parallel/mpi_communicator.h"

#if ECHODIFF_WITH_MPI
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "kernels/error.h"
#include "train/parallel/waiting.h"

namespace echodiff {
namespace {

constexpr int64_t kPiece = int64_t{1} << 30;  // bytes of one message: MPI counts them in an int

void check_mpi(int code, const char* doing) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(Fault::kIo, concat_message("MPI, ", doing, ": ", text, "; what is saved stands, go on with --resume"));
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(int rank, int size, std::function<bool()> interrupted)
      : Communicator(rank, size), interrupted_(std::move(interrupted)) {}
  // Where a partner is gone nobody would answer MPI_Finalize either.
  ~MpiCommunicator() override {
    if (!lost()) MPI_Finalize();
  }

  void exchange(int64_t partner, const void* mine, void* theirs, int64_t bytes) override {
    const char* out = static_cast<const char*>(mine);
    char* in = static_cast<char*>(theirs);
    for (int64_t at = 0; at < bytes; at += kPiece) {
      const int count = int(std::min(kPiece, bytes - at));
      MPI_Request requests[2];
      check_mpi(MPI_Irecv(in + at, count, MPI_BYTE, int(partner), 0, MPI_COMM_WORLD, &requests[0]), "receiving");
      check_mpi(MPI_Isend(out + at, count, MPI_BYTE, int(partner), 0, MPI_COMM_WORLD, &requests[1]), "sending");
      wait(requests);
    }
  }

  void abort(int code) override {
    MPI_Abort(MPI_COMM_WORLD, code);
    std::_Exit(code);
  }

 private:
  void wait(MPI_Request (&requests)[2]) {
    const auto answered = [&] {
      int done = 0;
      check_mpi(MPI_Testall(2, requests, &done, MPI_STATUSES_IGNORE), "waiting");
      return done != 0;
    };
    try {
      wait_until(answered, interrupted_);
    } catch (const Stopped&) {
      lose();
      throw;
    }
  }

  std::function<bool()> interrupted_;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi_communicator(int64_t size, const std::function<bool()>& interrupted) {
  int given = 0, rank = 0, found = 0;
  check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given), "beginning");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "beginning");
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "beginning");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &found), "beginning");
  check_input(found == size, Fault::kIo, "MPI: expected ", size, " ranks, as the launcher says, found ", found,
              "; launch with the mpirun of the MPI that this was built with");
  return std::make_unique<MpiCommunicator>(rank, found, interrupted);
}

}  // namespace echodiff
#endif
