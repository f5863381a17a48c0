// dtrain value as a program, on a hand-made recording: it learns, a resumed run equals the unbroken one, and every
// refusal has its exit code.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "quality/judges/value_model.h"
#include "quality/recordings/recording.h"
#include "quality/recordings/value_recordings.h"
#include "tensor/io/file.h"
#include "tests/scratch_folder.h"
#include "tests/tools/run_program.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSize = 16, kMasks = 10, kTrajectories = 60;

class DtrainValue : public ::testing::Test {
 protected:
  // Good pictures are bright in the end, and a little brighter at t = 20; at t = 45 nothing tells.
  void record(const std::string& name, bool labelled, int64_t first_mask = 0, double log_snr_shift = 0) const {
    RecordingFacts facts;
    facts.sampler = "ddim";
    facts.schedule = "linear";
    facts.log_snr_shift = log_snr_shift;
    facts.prediction = "eps";
    facts.T = 50;
    facts.size = kSize;
    facts.per_shard = kTrajectories;
    facts.times = {45, 20, 5};
    facts.next_times = {20, 5, -1};
    facts.thumbnail_steps = {0, 1};
    facts.planes = {"organ", "sector"};
    if (labelled) facts.thresholds = Thresholds{};
    std::vector<Tensor> conditions;
    for (int64_t m = first_mask; m < first_mask + kMasks; ++m) {
      facts.masks.push_back(std::to_string(m) + ".png");
      Tensor mask = full({1, 2, kSize, kSize}, 1);
      mask.mutable_data<float>()[2 * m] = 0;
      conditions.push_back(mask);
    }
    std::vector<Trajectory> trajectories;
    for (int64_t i = 0; i < kTrajectories; ++i) {
      Trajectory trajectory;
      trajectory.index = i;
      trajectory.condition = i % kMasks;
      const bool good = i / kMasks % 2 == 0;
      if (labelled) trajectory.good = good;
      const auto grey = [](int value) {
        return GrayImage{kSize, kSize, std::vector<uint8_t>(kSize * kSize, uint8_t(value))};
      };
      trajectory.x0hat = {grey(100), grey(good ? 120 : 80)};
      trajectory.final = grey(good ? 200 : 40);
      trajectories.push_back(trajectory);
    }
    const std::string directory = (dir_ / name).string();
    open_recording(directory, facts, conditions);
    write_shard(directory, 0, facts, trajectories, {});
  }

  int train(const std::string& out, const std::string& more, int64_t batch = 16) const {
    return run("dtrain value --out " + (dir_ / out).string() +
               " --width 8 --steps 60 --val-every 20 --lr 3e-3 --batch " + std::to_string(batch) + " " + more);
  }
  std::string recordings(const std::string& names) const { return "--recordings " + (dir_ / names).string() + " "; }
  std::string file(const std::string& name) const { return read_file((dir_ / name).string()); }

  ScratchFolder dir_;
};

TEST_F(DtrainValue, LearnsWhatTellsAndWhenAndResumesToTheSameBits) {
  record("rec", true);
  ASSERT_EQ(train("run", recordings("rec")), 0);
  const nlohmann::json metrics = nlohmann::json::parse(file("run/metrics.json"));
  const nlohmann::json& rows = metrics.at("auroc_by_time");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].at("t"), 45);
  EXPECT_DOUBLE_EQ(rows[0].at("auroc").get<double>(), 0.5);
  EXPECT_EQ(rows[2].at("t"), -1);
  EXPECT_GT(rows[2].at("auroc").get<double>(), 0.99);
  EXPECT_GT(rows[2].at("within_masks").get<double>(), 0.99);
  EXPECT_EQ(rows[2].at("within_pairs"), 2 * 9);
  EXPECT_EQ(metrics.at("counts").at("test").at("masks"), 2);
  EXPECT_EQ(metrics.at("counts").at("train").at("good"), 6 * 3);

  fs::create_directories(dir_ / "again" / "checkpoints");
  fs::copy_file(dir_ / "run" / "checkpoints" / "step-00000040.safetensors",
                dir_ / "again" / "checkpoints" / "step-00000040.safetensors");
  write_file_atomic((dir_ / "again" / "checkpoints" / "latest").string(), "step-00000040.safetensors\n");
  EXPECT_EQ(train("again", recordings("rec")), 73);
  EXPECT_EQ(train("again", recordings("rec") + "--resume", 8), 2);
  ASSERT_EQ(train("again", recordings("rec") + "--resume"), 0);
  EXPECT_EQ(file("again/metrics.json"), file("run/metrics.json"));
  EXPECT_EQ(file("again/checkpoints/step-00000060.safetensors"), file("run/checkpoints/step-00000060.safetensors"));
}

TEST_F(DtrainValue, RefusesWhatItCannotTrainOn) {
  EXPECT_EQ(train("run", recordings("none")), 66);
  record("plain", false);
  EXPECT_EQ(train("run", recordings("plain")), 65);
  record("rec", true);
  EXPECT_EQ(train("run", recordings("rec"), 7), 2);
  EXPECT_EQ(train("run", recordings("rec") + "--calibrate 0.6 --test 0.5"), 2);
}

TEST_F(DtrainValue, KnowsTheShiftOfTheSchedule) {
  record("plain", true);
  record("shifted", true, 0, -2.5);
  EXPECT_EQ(file("plain/recording.json").find("shift"), std::string::npos);
  ASSERT_EQ(train("run", recordings("shifted")), 0);
  EXPECT_EQ(load_value_run((dir_ / "run").string()).options().log_snr_shift, -2.5);
  EXPECT_EQ(train("both", recordings("shifted") + (dir_ / "plain").string()), 65);
  ASSERT_EQ(train("other", recordings("plain")), 0);
  EXPECT_NE(file("other/metrics.json"), file("run/metrics.json"));  // the levels that it is told are others
}

TEST_F(DtrainValue, AMaskOfTwoRecordingsIsOneMask) {
  record("one", true);
  record("two", true, 4);  // masks 4 to 13
  const ValueData data = read_value_data({(dir_ / "one").string(), (dir_ / "two").string()});
  EXPECT_EQ(data.masks.size(), size_t(kMasks + 4));
  EXPECT_EQ(data.trajectories.size(), size_t(2 * kTrajectories));
  EXPECT_EQ(data.trajectories[4].mask, data.trajectories[size_t(kTrajectories)].mask);
  EXPECT_EQ(data.trajectories[1].times, (std::vector<int64_t>{45, 20}));
}

}  // namespace
}  // namespace echodiff
