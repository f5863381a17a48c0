// Ranks on GPUs, linked by NCCL, on the faked device: bytes arrive, sums have the bits of one loop, and whatever fails
// ends in one line and leaves nothing. Ranks are threads of which one runs at a time, as the fake wants it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "cuda/fake_device.h"
#include "kernels/cuda/context.h"
#include "kernels/error.h"
#include "tensor/observe.h"
#include "train/parallel/nccl_communicator.h"
#include "train/parallel/thread_ranks.h"

namespace echodiff {
namespace {

class FakeNccl : public cuda::FakeDevice {};

// In MPI's place: it lets the others run while it waits.
class TurnRank : public ThreadRank {
 public:
  TurnRank(Post& post, std::mutex& turn, int64_t rank, int64_t size) : ThreadRank(post, rank, size), turn_(turn) {}
  void exchange(int64_t partner, const void* mine, void* theirs, int64_t bytes) override {
    turn_.unlock();
    ThreadRank::exchange(partner, mine, theirs, bytes);
    turn_.lock();
  }

 private:
  std::mutex& turn_;
};

// body(rank) on each of `size` ranks. `signal`: whether one came.
void on_threads(
    int64_t size, const std::function<void(Communicator&)>& body,
    const std::function<bool()>& signal = [] { return false; }) {
  Post post;
  std::mutex turn;
  const auto interrupted = [&] {
    turn.unlock();
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    turn.lock();
    return signal();
  };
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      const std::lock_guard lock(turn);
      body(*make_nccl_communicator(std::make_unique<TurnRank>(post, turn, rank, size), interrupted));
    });
  for (std::thread& thread : threads) thread.join();
}

// In MPI's place too: a rank whose partners never say anything, and that remembers how it ended.
struct Ending {
  int code = -1;
  int64_t objects = -1;  // of CUDA and NCCL, then
  bool lost = false;
};
class AloneRank : public Communicator {
 public:
  AloneRank(int64_t size, Ending& ending) : Communicator(0, size), ending_(ending) {}
  ~AloneRank() override { ending_.lost = lost(); }
  void exchange(int64_t, const void*, void*, int64_t) override {}
  void abort(int code) override { ending_ = {code, fake_cuda::live_objects(), false}; }

 private:
  Ending& ending_;
};
std::unique_ptr<Communicator> alone(int64_t size, Ending& ending, bool signal = false) {
  return make_nccl_communicator(std::make_unique<AloneRank>(size, ending), [signal] { return signal; });
}

std::vector<char> message(size_t bytes, int64_t from) {
  std::vector<char> text(bytes);
  for (size_t i = 0; i < bytes; ++i) text[i] = char(i * 31 + i / 251 + size_t(from) * 101 + 7);
  return text;
}

// What the call throws as Error; nothing where it throws none.
std::optional<Error> error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}
void expect_one_line(const std::optional<Error>& error, Fault fault, const std::vector<std::string>& parts) {
  ASSERT_TRUE(error);
  const std::string text = error->what();
  EXPECT_EQ(error->fault(), fault) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(FakeNccl, BytesGoBothWays) {
  on_threads(2, [](Communicator& rank) {
    for (const size_t bytes : {0u, 1u, 3u, 1000003u, (16u << 20) + 3}) {
      const std::vector<char> mine = message(bytes, rank.rank());
      std::vector<char> theirs(bytes + 1, 'x');
      rank.exchange(1 - rank.rank(), mine.data(), theirs.data(), int64_t(bytes));
      EXPECT_EQ(theirs.back(), 'x') << bytes;
      theirs.pop_back();
      EXPECT_TRUE(theirs == message(bytes, 1 - rank.rank())) << bytes << " bytes to rank " << rank.rank();
    }
  });
}

// Numbers whose sum depends on its order.
std::vector<float> numbers_of(int64_t rank) {
  std::vector<float> numbers(4099);
  for (size_t i = 0; i < numbers.size(); ++i)
    numbers[i] = (float((i * 7919 + size_t(rank) * 104729) % 1000) - 500) * (i % 3 == size_t(rank) % 3 ? 1e6f : 1e-3f);
  return numbers;
}
void add(std::vector<float>& own, const std::vector<float>& theirs) {
  for (size_t i = 0; i < own.size(); ++i) own[i] += theirs[i];
}

TEST_F(FakeNccl, SumsHaveTheBitsOfOneLoop) {
  for (const int64_t size : {2, 4}) {
    std::vector<std::vector<float>> tree;
    for (int64_t rank = 0; rank < size; ++rank) tree.push_back(numbers_of(rank));
    for (int64_t distance = 1; distance < size; distance *= 2)
      for (int64_t at = 0; at < size; at += 2 * distance) add(tree[size_t(at)], tree[size_t(at + distance)]);
    std::atomic<int> asked = 0;
    on_threads(size, [&](Communicator& rank) {
      std::vector<float> sum = numbers_of(rank.rank());
      rank.combine(sum, add);
      EXPECT_EQ(std::memcmp(sum.data(), tree[0].data(), sum.size() * sizeof(float)), 0) << rank.rank();
      EXPECT_TRUE(rank.all(true));
      EXPECT_FALSE(rank.all(rank.rank() != size - 1));
      ++asked;
    });
    EXPECT_EQ(asked, size);
  }
}

// One rank that is its own partner makes the calls that each of many does.
TEST_F(FakeNccl, EachCallFailedOnceEndsInOneLineAndLeaksNothing) {
  const std::vector<char> mine = message(1003, 0);
  Ending ending;
  const auto exchanged = [&] {
    std::vector<char> theirs(mine.size());
    const std::unique_ptr<Communicator> rank = alone(1, ending);
    rank->exchange(0, mine.data(), theirs.data(), int64_t(mine.size()));
    EXPECT_TRUE(theirs == mine);
  };
  exchanged();
  EXPECT_FALSE(ending.lost);
  const std::vector<std::string> names = fake_cuda::call_names();
  const size_t last = size_t(std::find(names.begin(), names.end(), "ncclCommFinalize") - names.begin());
  ASSERT_LT(last, names.size());
  for (const fake_cuda::Failure how : {fake_cuda::Failure::memory, fake_cuda::Failure::sticky}) {
    for (size_t k = 0; k < names.size(); ++k) {
      SCOPED_TRACE(names[k] + ", call " + std::to_string(k + 1));
      fake_cuda::reset();
      fake_cuda::fail_call(int64_t(k + 1), how);
      const std::optional<Error> error = error_of(exchanged);
      const bool of_nccl = names[k].starts_with("nccl"), memory = how == fake_cuda::Failure::memory;
      if (k < last) {
        expect_one_line(error,
                        of_nccl  ? Fault::kIo
                        : memory ? Fault::kOutOfMemory
                                 : Fault::kInternal,
                        {"NCCL, ", of_nccl ? "unhandled " : "cuda: cudaError", "; "});
        EXPECT_TRUE(ending.lost) << "MPI would wait for the others at its end";
      } else {
        EXPECT_FALSE(error) << "what fails at the end has nothing to lose";
      }
      EXPECT_EQ(fake_cuda::live_allocations(), 0);
      EXPECT_EQ(fake_cuda::live_objects(), 0);
      EXPECT_EQ(fake_cuda::misuses(), std::vector<std::string>());
    }
  }
  fake_cuda::reset();
}

TEST_F(FakeNccl, RanksAreCountedRoundTheGpusOfTheirMachine) {
  for (const int seen : {1, 2}) {
    fake_cuda::set_device_count(seen);
    cuda::ContextOptions options;
    options.device = 3;
    cuda::open_context(options);
    EXPECT_EQ(cuda::context().options().device, seen - 1);
    cuda::close_context();
  }
}

TEST_F(FakeNccl, SaysWhatToDo) {
  Ending ending;
  const auto first_exchange = [&] {
    char mine = 1, theirs = 0;
    alone(1, ending)->exchange(0, &mine, &theirs, 1);
  };
  fake_cuda::reset(16 << 20);
  expect_one_line(error_of(first_exchange), Fault::kOutOfMemory, {"NCCL, beginning", "a smaller --batch"});
  fake_cuda::reset();
  fake_cuda::fail_call(4, fake_cuda::Failure::memory);
  expect_one_line(error_of(first_exchange), Fault::kIo, {"NCCL, beginning", "system error", "a GPU of its own"});
  EXPECT_EQ(fake_cuda::call_names()[3], "ncclCommInitRankConfig");
}

TEST_F(FakeNccl, ALostPartnerEndsTheExchange) {
  Ending ending;
  {
    const std::unique_ptr<Communicator> rank = alone(1, ending);
    std::vector<char> mine = message(64, 0), theirs(64);
    const auto exchanged = [&] { rank->exchange(0, mine.data(), theirs.data(), 64); };
    exchanged();
    fake_cuda::lose_partners();
    expect_one_line(error_of(exchanged), Fault::kIo, {"NCCL, exchanging: remote process exited", "--resume"});
    expect_one_line(error_of(exchanged), Fault::kIo, {"a rank is gone", "--resume"});
    EXPECT_TRUE(rank->lost());
  }
  EXPECT_TRUE(ending.lost);
}

TEST_F(FakeNccl, ASignalEndsWaitingForRanksThatNeverCame) {
  Ending ending;
  {
    const std::unique_ptr<Communicator> rank = alone(2, ending, true);
    char mine = 1, theirs = 0;
    EXPECT_THROW(rank->exchange(1, &mine, &theirs, 1), Stopped);
    EXPECT_THROW(rank->exchange(1, &mine, &theirs, 1), Error);
  }
  EXPECT_TRUE(ending.lost);
}

TEST_F(FakeNccl, ASignalEndsWaitingForAnAnswer) {
  std::atomic<bool> signal = false;
  on_threads(
      2,
      [&](Communicator& rank) {
        char mine = 1, theirs = 0;
        rank.exchange(1 - rank.rank(), &mine, &theirs, 1);
        if (!rank.first()) return;
        signal = true;
        EXPECT_THROW(rank.exchange(1, &mine, &theirs, 1), Stopped);
      },
      [&] { return signal.load(); });
}

TEST_F(FakeNccl, AbortCutsTheLinksAndThenEndsTheRanks) {
  Ending ending;
  const std::unique_ptr<Communicator> rank = alone(1, ending);
  char mine = 1, theirs = 0;
  rank->exchange(0, &mine, &theirs, 1);
  EXPECT_EQ(fake_cuda::live_objects(), 2);  // the links and their stream
  rank->abort(74);
  EXPECT_EQ(ending.code, 74);
  EXPECT_EQ(ending.objects, 1);
}

}  // namespace
}  // namespace echodiff
