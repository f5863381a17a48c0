// A recording holds what the sampler did, step by step; goes on where it stopped; and notices damage.
#include "quality/recordings/recording.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "kernels/error.h"
#include "quality/recordings/recorder.h"
#include "quality/sampling/policy/none.h"
#include "tensor/io/file.h"
#include "tests/quality/sampling/fake_sampling.h"
#include "tests/scratch_folder.h"
#include "train/data/image.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class RecordingTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return root_.at(name); }

  ScratchFolder root_;
};

RecorderJob recorder_job(int64_t count) {
  RecorderJob job;
  job.sampling = fake_job(none_policy());
  job.sampling.count = count;
  for (Tensor& condition : job.sampling.conditions)  // masks are 0 or 1
    condition = full(condition.shape(), condition.data<float>()[0] > 0 ? 1 : 0);
  job.judges = {fake_judge, fake_judge};
  job.facts.judges = {{"clean", ScoreOn::x0hat, "1"}, {"noisy", ScoreOn::xt, "2"}};
  for (const PlanStep& row : job.sampling.plan.steps) {
    job.facts.times.push_back(row.t);
    job.facts.next_times.push_back(row.next_t);
  }
  job.facts.T = kT;
  job.facts.size = kSize;
  job.facts.per_shard = 4;
  job.facts.thumbnail_steps = {0, 7};
  job.facts.planes = {"organ", "sector"};
  job.facts.masks = {"a.png", "b.png", "c.png"};
  Thresholds thresholds;
  thresholds.rule = Rule::kBand;
  thresholds.contrast = {0, 60};
  job.facts.thresholds = thresholds;
  return job;
}

double judged(const float* x) {
  Tensor image = from_values({1, 1, kSize, kSize}, x);
  for (int64_t i = 0; i < kPixels; ++i) {
    float& value = image.mutable_data<float>()[i];
    value = std::clamp(value, -1.0f, 1.0f);
  }
  return fake_judge(image, Tensor(), Tensor())[0];
}

TEST_F(RecordingTest, HoldsWhatTheSamplerDid) {
  const RecorderJob job = recorder_job(10);
  EXPECT_EQ(record_trajectories(at("rec"), job, fake_network, {}), 10);
  const Recording recording = read_recording(at("rec"), true);
  ASSERT_EQ(recording.trajectories.size(), 10u);
  EXPECT_EQ(recording.seconds.unet_calls, 10 * kT);
  EXPECT_EQ(recording.conditions[1].to_vector(), job.sampling.conditions[1].to_vector());
  EXPECT_EQ(recording.facts.judge("noisy"), 1u);
  EXPECT_THROW(recording.facts.judge("nobody"), Error);

  int64_t good = 0;
  SamplerHooks hooks;
  hooks.on_step = [&](const std::vector<Stepped>& steps) {
    for (const Stepped& one : steps) {
      const Trajectory& trajectory = recording.trajectories[size_t(one.index)];
      EXPECT_EQ(trajectory.scores[0][size_t(one.step)], float(judged(one.state->x_start.data<float>())));
      EXPECT_EQ(trajectory.scores[1][size_t(one.step)], float(judged(one.state->x.data<float>())));
      if (one.step == 7) {
        EXPECT_EQ(trajectory.x0hat[1].pixels, to_gray(one.state->x_start.data<float>(), kSize, kSize).pixels);
      }
    }
  };
  hooks.on_record = [&](const SampleRecord& record) {
    const Trajectory& trajectory = recording.trajectories[size_t(record.index)];
    EXPECT_EQ(trajectory.condition, record.condition);
    EXPECT_EQ(trajectory.final.pixels, record.image.pixels);
    std::vector<float> x(kPixels);
    from_gray(record.image, x.data());
    EXPECT_EQ(trajectory.scores[0][kT], float(judged(x.data())));
    const Metrics metrics = measure(record.image);
    EXPECT_EQ(float(trajectory.metrics.contrast), float(metrics.contrast));
    EXPECT_EQ(*trajectory.good, metrics.contrast <= 60);
    good += *trajectory.good;
    job.sampling.noise(record.index, 0, x.data(), kPixels);
    EXPECT_EQ(trajectory.start[0], float(judged(x.data())));
  };
  run_sampler(job.sampling, fake_network, {}, hooks);
  EXPECT_GT(good, 0);
  EXPECT_LT(good, 10);
}

TEST_F(RecordingTest, GoesOnWhereItStopped) {
  const RecorderJob job = recorder_job(10);
  record_trajectories(at("whole"), job, fake_network, {});
  int64_t calls = 0;
  RecorderHooks hooks;
  hooks.stop = [&] { return ++calls > kT + 5; };
  EXPECT_EQ(record_trajectories(at("parts"), job, fake_network, hooks), 4);
  EXPECT_EQ(read_recording(at("parts"), false).trajectories.size(), 4u);
  int64_t more = 0;
  const Network counting = [&](const Tensor& x, const Tensor& t, const Tensor& condition) {
    more += x.dim(0);
    return fake_network(x, t, condition);
  };
  EXPECT_EQ(record_trajectories(at("parts"), job, counting, {}), 10);
  EXPECT_EQ(more, 6 * kT);
  for (int64_t shard = 0; shard < 3; ++shard)
    EXPECT_EQ(read_file(shard_path(at("parts"), shard)), read_file(shard_path(at("whole"), shard)));
  more = 0;
  EXPECT_EQ(record_trajectories(at("parts"), recorder_job(12), counting, {}), 12);  // the short last shard is made anew
  EXPECT_EQ(more, 4 * kT);
}

TEST_F(RecordingTest, ScoresEveryOtherStepOnly) {
  RecorderJob job = recorder_job(4);
  job.facts.score_every = 2;
  record_trajectories(at("rec"), job, fake_network, {});
  const Recording recording = read_recording(at("rec"), false);
  for (int64_t k = 0; k < kT; ++k)
    EXPECT_EQ(std::isnan(recording.trajectories[0].scores[0][size_t(k)]), k % 2 == 1 && k != kT - 1) << k;
}

TEST_F(RecordingTest, NoticesDamageAndAnotherExperiment) {
  const RecorderJob job = recorder_job(10);
  record_trajectories(at("rec"), job, fake_network, {});
  RecorderJob other = job;
  other.facts.seed = 1;
  EXPECT_THROW(record_trajectories(at("rec"), other, fake_network, {}), Error);
  other = job;
  other.facts.judges[0].hash = "3";
  EXPECT_THROW(record_trajectories(at("rec"), other, fake_network, {}), Error);

  const std::string path = shard_path(at("rec"), 1), bytes = read_file(path);
  for (const size_t where : {bytes.size() / 2, bytes.size() - 1, size_t(30)}) {
    std::string damaged = bytes;
    damaged[where] = char(damaged[where] ^ 1);
    write_file_atomic(path, damaged);
    EXPECT_THROW(read_recording(at("rec"), false), Error) << where;
    EXPECT_THROW(record_trajectories(at("rec"), job, fake_network, {}), Error) << where;
  }
  fs::remove(path);
  EXPECT_THROW(read_recording(at("rec"), false), Error);
  EXPECT_EQ(record_trajectories(at("rec"), job, fake_network, {}), 10);
  EXPECT_EQ(read_file(path), bytes);
}

TEST_F(RecordingTest, EveryFlippedBitOfItsTensorsIsRefused) {
  record_trajectories(at("rec"), recorder_job(2), fake_network, {});
  for (const std::string& path : {at("rec") + "/conditions.safetensors", shard_path(at("rec"), 0)}) {
    const std::string bytes = read_file(path);
    const bool few = bytes.size() < 1000;
    for (size_t byte = 0; byte < bytes.size(); byte += few ? 1 : 7) {
      std::string damaged = bytes;
      damaged[byte] = char(damaged[byte] ^ (1 << byte % 8));
      write_file_unsynced(path, damaged);
      EXPECT_THROW(read_recording(at("rec"), false), Error) << path << " " << byte;
    }
    write_file_atomic(path, bytes);
  }
  EXPECT_NO_THROW(read_recording(at("rec"), false));
}

TEST_F(RecordingTest, OnlyAStepThatWasNotScoredHasNoNumber) {
  RecorderJob job = recorder_job(2);
  job.facts.score_every = 2;
  record_trajectories(at("rec"), job, fake_network, {});
  const std::vector<Trajectory> good = read_shard(at("rec"), 0, job.facts, true);
  EXPECT_NO_THROW(read_shard(at("rec"), 0, job.facts, false));
  for (const int64_t step : {int64_t(0), int64_t(kT)}) {
    std::vector<Trajectory> bad = good;
    bad[1].scores[0][size_t(step)] = NAN;
    write_shard(at("rec"), 0, job.facts, bad, {});
    EXPECT_THROW(read_shard(at("rec"), 0, job.facts, false), Error) << step;
  }
  std::vector<Trajectory> bad = good;
  bad[0].metrics.noise = INFINITY;
  write_shard(at("rec"), 0, job.facts, bad, {});
  EXPECT_THROW(read_shard(at("rec"), 0, job.facts, false), Error);
}

TEST(Thumbnails, FromTheFirstStepOnWithoutTheLast) {
  EXPECT_EQ(spread_thumbnails(20, 4), (std::vector<int64_t>{0, 4, 9, 14}));
  EXPECT_EQ(spread_thumbnails(3, 8), (std::vector<int64_t>{0, 1}));
  EXPECT_TRUE(spread_thumbnails(20, 0).empty());
}

}  // namespace
}  // namespace echodiff
