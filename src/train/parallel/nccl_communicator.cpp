#include "train/parallel/nccl_communicator.h"

#if ECHODIFF_WITH_NCCL
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <array>
#include <source_location>
#include <utility>

#include "kernels/cuda/check.h"
#include "kernels/error.h"
#include "train/parallel/waiting.h"

namespace echodiff {
namespace {

constexpr int64_t kPiece = int64_t{16} << 20;  // bytes that are on the GPU at once, each way

// What is being done, and what to do where it fails.
struct Step {
  const char *doing, *remedy;
};
constexpr Step kBeginning{"beginning", "; give each rank a GPU of its own; NCCL_DEBUG=WARN says more"};
constexpr Step kExchanging{"exchanging", "; what is saved stands, go on with --resume"};
constexpr Step kEnding{"ending", ""};

// ncclInProgress is no failure: NCCL goes on by itself (NcclCommunicator::settle).
void check_nccl(ncclResult_t code, const Step& step) {
  if (code == ncclSuccess || code == ncclInProgress) return;
  throw Error(Fault::kIo, concat_message("NCCL, ", step.doing, ": ", ncclGetErrorString(code), step.remedy));
}

void check_device(cudaError_t status, const Step& step, std::source_location where = std::source_location::current()) {
  try {
    cuda::check_cuda(status, where);
  } catch (const Error& error) {
    const bool says_what_to_do = error.fault() == Fault::kNoDevice || cuda::is_sticky(status);
    const char* const remedy = error.fault() == Fault::kOutOfMemory
                                   ? "; use a smaller --batch, or a GPU that no other process fills"
                                   : step.remedy;
    throw Error(error.fault(), concat_message("NCCL, ", step.doing, ": ", error.what(), says_what_to_do ? "" : remedy),
                where);
  }
}

// In destructors: nothing to do about a failure.
struct DestroyStream {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
struct FreeMemory {
  void operator()(char* memory) const { cudaFree(memory); }
};
struct AbortLinks {
  void operator()(ncclComm_t links) const { ncclCommAbort(links); }
};

class NcclCommunicator : public Communicator {
 public:
  NcclCommunicator(std::unique_ptr<Communicator> mpi, std::function<bool()> interrupted)
      : Communicator(mpi->rank(), mpi->size()), mpi_(std::move(mpi)), interrupted_(std::move(interrupted)) {}

  // All ranks take their links down together; where one doesn't come, they are cut.
  ~NcclCommunicator() override {
    if (!links_) return;
    try {
      check_nccl(ncclCommFinalize(links_.get()), kEnding);
      settle(kEnding);
      ncclCommDestroy(links_.release());
    } catch (...) {
      cut();
    }
  }

  void exchange(int64_t partner, const void* mine, void* theirs, int64_t bytes) override {
    check_input(!lost(), Fault::kIo, "NCCL: a rank is gone", kExchanging.remedy);
    const char* const out = static_cast<const char*>(mine);
    char* const in = static_cast<char*>(theirs);
    try {
      if (!links_) connect();
      for (int64_t at = 0; at < bytes; at += kPiece)
        exchange_piece(int(partner), out + at, in + at, size_t(std::min(kPiece, bytes - at)));
    } catch (...) {
      cut();
      throw;
    }
  }

  void abort(int code) override {
    links_.reset();
    mpi_->abort(code);
  }

 private:
  void connect() {
    cudaStream_t stream = nullptr;
    check_device(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), kBeginning);
    stream_.reset(stream);
    void* memory = nullptr;
    check_device(cudaMalloc(&memory, 2 * kPiece), kBeginning);
    memory_.reset(static_cast<char*>(memory));

    ncclUniqueId id{};
    if (first()) check_nccl(ncclGetUniqueId(&id), kBeginning);
    std::array<char, NCCL_UNIQUE_ID_BYTES> bytes{};  // zeros but for the first rank
    std::copy_n(id.internal, bytes.size(), bytes.begin());
    mpi_->combine(bytes, [](auto& own, const auto& others) {
      for (size_t i = 0; i < own.size(); ++i) own[i] |= others[i];
    });
    std::copy_n(bytes.begin(), bytes.size(), id.internal);

    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;  // no call waits for a rank that is gone
    ncclComm_t links = nullptr;
    const ncclResult_t begun = ncclCommInitRankConfig(&links, int(size()), id, int(rank()), &config);
    links_.reset(links);
    check_nccl(begun, kBeginning);
    settle(kBeginning);
  }

  void exchange_piece(int partner, const char* mine, char* theirs, size_t bytes) {
    char *const out = memory_.get(), *const in = out + kPiece;
    cudaStream_t const stream = stream_.get();
    check_device(cudaMemcpyAsync(out, mine, bytes, cudaMemcpyHostToDevice, stream), kExchanging);
    check_nccl(ncclGroupStart(), kExchanging);
    const ncclResult_t sent = ncclSend(out, bytes, ncclUint8, partner, links_.get(), stream);
    const ncclResult_t taken = ncclRecv(in, bytes, ncclUint8, partner, links_.get(), stream);
    const ncclResult_t ended = ncclGroupEnd();  // whatever came between: a group that began must end
    for (const ncclResult_t code : {sent, taken, ended}) check_nccl(code, kExchanging);
    settle(kExchanging);
    drain();
    // Not before: a copy to memory that is not page-locked waits for the stream, and nobody could end that.
    check_device(cudaMemcpyAsync(theirs, in, bytes, cudaMemcpyDeviceToHost, stream), kExchanging);
    drain();
  }

  // Whether NCCL has done what it was told. Throws what failed since.
  bool settled(const Step& step) {
    ncclResult_t state = ncclSuccess;
    check_nccl(ncclCommGetAsyncError(links_.get(), &state), step);
    check_nccl(state, step);
    return state != ncclInProgress;
  }
  void settle(const Step& step) {
    wait_until([&] { return settled(step); }, interrupted_);
  }

  // Until the GPU has done all work on the stream.
  void drain() {
    const auto done = [&] {
      const cudaError_t status = cudaStreamQuery(stream_.get());
      if (status == cudaErrorNotReady)
        cudaGetLastError();  // it is no failure
      else
        check_device(status, kExchanging);
      return settled(kExchanging) && status == cudaSuccess;
    };
    wait_until(done, interrupted_);
  }

  // At once where a rank is gone: until then the GPU waits for it, and whatever waits for the GPU.
  void cut() {
    links_.reset();
    lose();
    mpi_->lose();
  }

  std::unique_ptr<Communicator> mpi_;
  std::function<bool()> interrupted_;
  std::unique_ptr<CUstream_st, DestroyStream> stream_;
  std::unique_ptr<char, FreeMemory> memory_;  // kPiece to send, kPiece for what comes
  std::unique_ptr<ncclComm, AbortLinks> links_;
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(std::unique_ptr<Communicator> mpi,
                                                     const std::function<bool()>& interrupted) {
  return std::make_unique<NcclCommunicator>(std::move(mpi), interrupted);
}

}  // namespace echodiff
#endif
