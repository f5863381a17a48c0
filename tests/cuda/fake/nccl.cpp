// The calls of NCCL that src/train/parallel makes, on a communicator that waits for nothing (config.blocking is 0).
// Ranks are threads of one process, of which one runs at a time, or one rank that sends to itself. A call is under way
// until ncclCommGetAsyncError has said so once and then that it is done: only then a group's transfers are on their
// stream, which goes on when what it receives has come.
#include <nccl.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "cuda/fake/device.h"

using namespace fake_cuda;

namespace {

struct Transfer {
  ncclComm_t comm;
  const void* out;  // or
  void* in;
  size_t bytes;
  int peer;
  cudaStream_t stream;
};

}  // namespace

struct ncclComm {
  int64_t world;
  int rank;
  bool looked = false, settled = false;  // since the last call: asked for its state, told that it is done
  bool ending = false;
  std::vector<Transfer> transfers = {};  // of the call under way
};

namespace {

// The ranks that one id brings together.
struct World {
  int size = 0, joined = 0, alive = 0, ended = 0;
  std::map<std::pair<int, int>, std::deque<std::vector<char>>> sent;  // from, to
};
std::map<int64_t, World>& worlds() {
  static std::map<int64_t, World> all;
  return all;
}

struct Group {
  int depth = 0;
  std::vector<Transfer> transfers;
};
thread_local Group group;

ncclResult_t failed_call(Failure how) { return how == Failure::memory ? ncclSystemError : ncclUnhandledCudaError; }

ncclResult_t under_way(ncclComm_t comm) {
  comm->looked = comm->settled = false;
  return ncclInProgress;
}

// A communicator that may be told something new.
bool is_ready(ncclComm_t comm, const char* call) {
  if (!is_object(comm, "communicator", call)) return false;
  if (!comm->settled) misuse(std::string(call) + ": the last call isn't known to be done");
  return comm->settled;
}

ncclResult_t add_transfer(const Transfer& transfer, const char* call) {
  if (const auto failure = next_call(call)) return failed_call(*failure);
  if (group.depth == 0) misuse(std::string(call) + ": outside of a group it waits for its partner's");
  const void* const memory = transfer.out ? transfer.out : transfer.in;
  if (group.depth == 0 || !is_ready(transfer.comm, call) || !is_stream(transfer.stream, call) ||
      !check_range(memory, transfer.bytes, call) || transfer.peer >= worlds().at(transfer.comm->world).size)
    return ncclInvalidArgument;
  group.transfers.push_back(transfer);
  return ncclSuccess;
}

void send(const Transfer& transfer) {
  const DeviceAccess access;
  const char* const from = static_cast<const char*>(transfer.out);
  worlds()
      .at(transfer.comm->world)
      .sent[{transfer.comm->rank, transfer.peer}]
      .emplace_back(from, from + transfer.bytes);
}

void receive(const Transfer& transfer) {
  const auto arrived = [transfer] {
    std::deque<std::vector<char>>& sent = worlds().at(transfer.comm->world).sent[{transfer.peer, transfer.comm->rank}];
    if (sent.empty()) return false;
    if (sent.front().size() != transfer.bytes) misuse("ncclRecv: other than the bytes that were sent");
    const DeviceAccess access;
    std::memcpy(transfer.in, sent.front().data(), std::min(transfer.bytes, sent.front().size()));
    sent.pop_front();
    return true;
  };
  device().receipts.push_back({transfer.stream, transfer.comm, transfer.in, arrived});
}

void forget(ncclComm_t comm) {
  std::erase_if(device().receipts, [&](const Receipt& each) { return each.owner == comm; });
  World& world = worlds().at(comm->world);
  if (!comm->ending) ++world.ended;
  if (--world.alive == 0) worlds().erase(comm->world);
  delete comm;
}

}  // namespace

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "as the fake says it";
  }
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  if (const auto failure = next_call("ncclGetUniqueId")) return failed_call(*failure);
  static int64_t number = 0;
  *id = {};
  std::snprintf(id->internal, sizeof id->internal, "%lld", static_cast<long long>(++number));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank, ncclConfig_t* config) {
  *comm = nullptr;
  if (const auto failure = next_call("ncclCommInitRankConfig")) return failed_call(*failure);
  long long number = 0;
  if (std::sscanf(id.internal, "%lld", &number) != 1 || rank >= size || config->blocking != 0) {
    misuse("ncclCommInitRankConfig: no id of ncclGetUniqueId, no such rank, or it would wait");
    return ncclInvalidArgument;
  }
  World& world = worlds()[number];
  world.size = size;
  ++world.joined;
  ++world.alive;
  *comm = new ncclComm{.world = number, .rank = rank};
  add_object(*comm, "communicator");
  return under_way(*comm);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  if (const auto failure = next_call("ncclCommGetAsyncError")) return failed_call(*failure);
  if (!is_object(comm, "communicator", "ncclCommGetAsyncError")) return ncclInvalidArgument;
  const World& world = worlds().at(comm->world);
  const bool all_here = world.joined == world.size && (!comm->ending || world.ended == world.size);
  comm->settled = comm->looked && all_here;
  comm->looked = true;
  if (comm->settled)
    for (const Transfer& each : std::exchange(comm->transfers, {})) each.out ? send(each) : receive(each);
  *state = device().partners_lost ? ncclRemoteError : comm->settled ? ncclSuccess : ncclInProgress;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  if (const auto failure = next_call("ncclGroupStart")) return failed_call(*failure);
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclSend(const void* out, size_t bytes, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add_transfer({comm, out, nullptr, bytes, peer, stream}, "ncclSend");
}
ncclResult_t ncclRecv(void* in, size_t bytes, ncclDataType_t, int peer, ncclComm_t comm, cudaStream_t stream) {
  return add_transfer({comm, nullptr, in, bytes, peer, stream}, "ncclRecv");
}
ncclResult_t ncclGroupEnd() {
  if (group.depth == 0) {
    misuse("ncclGroupEnd: no group was begun");
    return ncclInvalidUsage;
  }
  const std::vector<Transfer> transfers = std::exchange(group.transfers, {});
  --group.depth;
  if (const auto failure = next_call("ncclGroupEnd")) return failed_call(*failure);
  for (const Transfer& each : transfers) {
    each.comm->transfers.push_back(each);
    under_way(each.comm);
  }
  return transfers.empty() ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  if (const auto failure = next_call("ncclCommFinalize")) return failed_call(*failure);
  if (!is_ready(comm, "ncclCommFinalize")) return ncclInvalidArgument;
  comm->ending = true;
  ++worlds().at(comm->world).ended;
  return under_way(comm);
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const auto failure = next_call("ncclCommDestroy");
  if (is_ready(comm, "ncclCommDestroy") && !comm->ending) misuse("ncclCommDestroy: not finalized");
  if (!remove_object(comm, "communicator", "ncclCommDestroy")) return ncclInvalidArgument;
  forget(comm);
  return failure ? failed_call(*failure) : ncclSuccess;
}
// At any time, also after a failure.
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const auto failure = next_call("ncclCommAbort");
  if (!remove_object(comm, "communicator", "ncclCommAbort")) return ncclInvalidArgument;
  forget(comm);
  return failure ? failed_call(*failure) : ncclSuccess;
}

}  // extern "C"
