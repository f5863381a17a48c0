// A tiny experiment in a folder, for all tests of a file: data, model, thresholds.json, labels.jsonl, scorer.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/tools/run_program.h"

namespace echodiff {

struct TinyExperiment {
  int64_t pictures = 40;               // phantoms of 16x16
  std::string training = "";           // more flags of dtrain diffusion
  int64_t epochs = 2, per_class = 20;  // of the scorer
};

// Call it under ASSERT_NO_FATAL_FAILURE.
inline void make_tiny_experiment(const std::string& folder, const TinyExperiment& options = {}) {
  const auto at = [&](const std::string& name) { return folder + "/" + name; };
  ASSERT_EQ(run("dphantom --count " + std::to_string(options.pictures) + " --size 16 --seed 1 --out " + at("data")), 0);
  ASSERT_EQ(run("dtrain diffusion --data " + at("data") +
                " --image-size 16 --dim 8 --mults 1,2 --steps 3 --batch 4 --timesteps 50 --sample-every 0 " +
                options.training + " --out " + at("model")),
            0);
  ASSERT_EQ(run("dlabel calibrate --size 16 --images " + at("data") + " --out " + at("thresholds.json")), 0);
  ASSERT_EQ(run("dlabel score --images " + at("data") + " --thresholds " + at("thresholds.json") + " --out " +
                at("labels.jsonl")),
            0);
  ASSERT_EQ(run("dtrain scorer --width 4 --epochs " + std::to_string(options.epochs) + " --per-class " +
                std::to_string(options.per_class) + " --labels " + at("labels.jsonl") + " --fill " + at("data") +
                " --out " + at("scorer")),
            0);
}

}  // namespace echodiff
