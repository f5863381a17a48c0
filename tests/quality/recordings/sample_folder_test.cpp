// What a sampling run leaves is read back as it was written.
#include "quality/recordings/sample_folder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/error.h"
#include "tensor/io/file.h"
#include "tensor/ops.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

class SampleFolderTest : public ::testing::Test {
 protected:
  // Two of five are kept; one of them early, with all that a line can hold.
  std::vector<SampleRecord> write(const std::string& out, SamplerJob job) const {
    job.plan.steps.resize(10);
    job.conditions = {zeros({1, 1, 2, 2}), zeros({1, 1, 2, 2})};
    SampleFolder folder(out, "count = 5\n", true, job);
    std::vector<SampleRecord> records(5);
    for (int64_t i = 0; i < 5; ++i) {
      SampleRecord& record = records[size_t(i)];
      record.index = i;
      record.unet_calls = 10 - i;
      record.decision = i < 2 ? "accepted" : "discarded";
      record.reason = "reached_tau";
      record.image = {2, 2, {1, 2, 3, uint8_t(i)}};
      record.seconds = 0.25;
      if (i == 1) {
        record.shallow_calls = 4;
        record.final_score = 0.1;
        record.halted_t = 7;
        record.ancestor = 0;
        record.scores = {{9, 1.0 / 3}, {-1, 0.1}};
      }
      folder.write(record, i == 3 ? "" : "m.png", ~uint64_t{0});
    }
    SummaryFacts facts;
    facts.policy = "paper";
    facts.final_judge = "judge";
    facts.sampler = "ddim";
    facts.sample_steps = 10;
    facts.adadiff_error = 0.02;
    facts.log_snr_shift = 1.0 / 3;
    facts.eta = 1.0 / 3;
    facts.clip = false;
    facts.seed = ~uint64_t{0};
    facts.tau = 0.95;
    facts.seconds = 2;
    facts.replayed = true;
    SamplerTotals totals;
    totals.trajectories = 5;
    totals.kept = 2;
    totals.unet_calls = 40;
    totals.shallow_calls = 4;
    totals.whole = {36, 3.6};
    totals.shallow = {4, 0.1};
    totals.scorer_seconds = 0.5;
    totals.interrupted = true;
    folder.write_summary(facts, totals);
    return records;
  }

  ScratchFolder scratch_;
};

TEST_F(SampleFolderTest, LinesAndPicturesComeBack) {
  const std::string out = scratch_.at("out");
  const std::vector<SampleRecord> written = write(out, {});
  const std::vector<SampleLine> read = read_samples(out);
  ASSERT_EQ(read.size(), written.size());
  for (size_t i = 0; i < read.size(); ++i) {
    EXPECT_EQ(read[i].index, written[i].index);
    EXPECT_EQ(read[i].mask, i == 3 ? "" : "m.png");
    EXPECT_EQ(read[i].seed, ~uint64_t{0});
    EXPECT_EQ(read[i].unet_calls, written[i].unet_calls);
    EXPECT_EQ(read[i].shallow_calls, written[i].shallow_calls);
    EXPECT_EQ(read[i].decision, written[i].decision);
    EXPECT_EQ(read[i].reason, written[i].reason);
    EXPECT_EQ(read[i].final_score, written[i].final_score);
    EXPECT_EQ(read[i].halted_t, written[i].halted_t);
    EXPECT_EQ(read[i].ancestor, written[i].ancestor);
    EXPECT_EQ(read[i].image.pixels, written[i].image.pixels);
    ASSERT_EQ(read[i].scores.size(), written[i].scores.size());
    for (size_t k = 0; k < read[i].scores.size(); ++k) {
      EXPECT_EQ(read[i].scores[k].t, written[i].scores[k].t);
      EXPECT_EQ(read[i].scores[k].value, written[i].scores[k].value);
    }
  }
  const std::map<std::string, std::string> masks = read_sampled_masks(out);
  EXPECT_EQ(masks.size(), 4u);
  EXPECT_EQ(masks.at("000004.png"), "m.png");
}

TEST_F(SampleFolderTest, TheSummaryComesBack) {
  SamplerJob job;
  job.accept_per_mask = 1;
  const std::string out = scratch_.at("out");
  write(out, job);
  const SampleSummary summary = read_sample_summary(out);
  EXPECT_EQ(summary.policy, "paper");
  EXPECT_EQ(summary.judge, "");
  EXPECT_EQ(summary.final_judge, "judge");
  EXPECT_EQ(summary.sampler, "ddim");
  EXPECT_EQ(summary.sample_steps, 10);
  EXPECT_EQ(summary.adadiff_error, 0.02);
  EXPECT_EQ(summary.log_snr_shift, 1.0 / 3);
  EXPECT_EQ(summary.eta, 1.0 / 3);
  EXPECT_FALSE(summary.clip);
  EXPECT_EQ(summary.seed, ~uint64_t{0});
  EXPECT_EQ(summary.tau, 0.95);
  EXPECT_EQ(summary.seconds, 2);
  EXPECT_TRUE(summary.replayed);
  EXPECT_EQ(summary.totals.trajectories, 5);
  EXPECT_EQ(summary.totals.kept, 2);
  EXPECT_EQ(summary.totals.unet_calls, 40);
  EXPECT_EQ(summary.totals.shallow_calls, 4);
  EXPECT_EQ(summary.totals.scorer_seconds, 0.5);
  EXPECT_TRUE(summary.totals.interrupted);
  EXPECT_NEAR(summary.whole_calls(40, 4), 37, 1e-12);
  EXPECT_EQ(summary.unit.kind, CostUnit::Kind::mask);
  EXPECT_EQ(summary.unit.masks, 2);
  EXPECT_EQ(summary.calls_per_kept.value, 20);
  // Mask 0: 24 calls, mask 1: 16 calls; a picture each.
  EXPECT_EQ(summary.calls_per_kept.low, 16);
  EXPECT_EQ(summary.calls_per_kept.high, 24);

  std::string old = read_file(out + "/summary.json");
  write_file_atomic(out + "/summary.json", old.replace(old.find("replayed"), 8, "simulated"));
  EXPECT_TRUE(read_sample_summary(out).replayed);
}

TEST_F(SampleFolderTest, WhatDoesNotFitIsRefused) {
  const std::string out = scratch_.at("out");
  write(out, {});
  EXPECT_THROW(SampleFolder(out, "count = 6\n", true, {}), Error);
  EXPECT_THROW(SampleFolder(scratch_.string(), "count = 5\n", true, {}), Error);  // not a run's folder
  const std::string lines = read_file(out + "/samples.jsonl");
  write_file_atomic(out + "/samples.jsonl", lines + lines.substr(0, lines.find('\n') + 1));
  EXPECT_THROW(read_samples(out), Error);  // one index twice
  write_file_atomic(out + "/samples.jsonl", lines.substr(0, lines.rfind('\n', lines.size() - 2) + 1));
  EXPECT_THROW(read_samples(out), Error);  // the last line is gone: fewer than the summary counts
  EXPECT_THROW(read_sampled_masks(out), Error);
  write_file_atomic(out + "/samples.jsonl", lines);
  std::filesystem::remove(out + "/discarded/000004.png");
  EXPECT_TRUE(read_samples(out)[4].image.pixels.empty());
  std::filesystem::remove(out + "/images/000001.png");
  EXPECT_THROW(read_samples(out), Error);
}

// Whatever a kill leaves, what is whole is known, and the files come out as if nothing had happened.
TEST_F(SampleFolderTest, GoesOnFromAnyByte) {
  const std::string out = scratch_.at("out"), whole = scratch_.at("whole");
  const std::vector<SampleRecord> records = write(whole, {});
  const std::string lines = read_file(whole + "/samples.jsonl"), seconds = read_file(whole + "/seconds.jsonl");
  const auto line_count = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  for (size_t cut = 0; cut <= lines.size(); cut += 43) {
    std::filesystem::remove_all(out);
    std::filesystem::copy(whole, out, std::filesystem::copy_options::recursive);
    std::filesystem::remove(out + "/summary.json");
    write_file_atomic(out + "/samples.jsonl", lines.substr(0, cut));
    SamplerJob job;
    job.plan.steps.resize(10);
    job.conditions = {zeros({1, 1, 2, 2}), zeros({1, 1, 2, 2})};
    SampleFolder folder(out, "count = 5\n", true, job);
    EXPECT_FALSE(folder.finished());
    EXPECT_EQ(int64_t(folder.known().size()), line_count(lines.substr(0, cut)));
    for (const auto& [index, record] : folder.known()) {
      EXPECT_EQ(record.image.pixels, records[size_t(index)].image.pixels);
      EXPECT_EQ(record.seconds, 0.25);
    }
    for (const SampleRecord& record : records) folder.write(record, record.index == 3 ? "" : "m.png", ~uint64_t{0});
    folder.write_summary({}, {});
    EXPECT_EQ(read_file(out + "/samples.jsonl"), lines) << cut;
    EXPECT_EQ(read_file(out + "/seconds.jsonl"), seconds) << cut;
  }
  EXPECT_TRUE(SampleFolder(out, "count = 5\nthreads = 4\n", true, {}).finished());
}

TEST_F(SampleFolderTest, WhatWasHandedOutOfTurnComesAgainInOrder) {
  const std::string out = scratch_.at("out"), whole = scratch_.at("whole");
  const std::vector<SampleRecord> records = write(whole, {});
  std::filesystem::copy(whole, out, std::filesystem::copy_options::recursive);
  std::filesystem::remove(out + "/summary.json");
  std::string lines = read_file(whole + "/samples.jsonl"), seconds = read_file(whole + "/seconds.jsonl");
  for (std::string* text : {&lines, &seconds}) {  // an interrupted run that never came to record 1
    const size_t first = text->find('\n') + 1;
    text->erase(first, text->find('\n', first) + 1 - first);
  }
  write_file_atomic(out + "/samples.jsonl", lines);
  write_file_atomic(out + "/seconds.jsonl", seconds);
  SamplerJob job;
  job.plan.steps.resize(10);
  job.conditions = {zeros({1, 1, 2, 2}), zeros({1, 1, 2, 2})};
  SampleFolder folder(out, "count = 5\n", true, job);
  EXPECT_EQ(folder.known().size(), 4u);
  for (const SampleRecord& record : records) folder.write(record, record.index == 3 ? "" : "m.png", ~uint64_t{0});
  folder.write_summary({}, {});
  EXPECT_EQ(read_file(out + "/samples.jsonl"), read_file(whole + "/samples.jsonl"));
}

}  // namespace
}  // namespace echodiff
