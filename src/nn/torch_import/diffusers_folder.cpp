#include "nn/torch_import/diffusers_folder.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "kernels/error.h"
#include "tensor/io/json.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostSteps = 1'000'000;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::string if_file(const fs::path& path) { return is_file(path) ? path.string() : ""; }

std::string weights_in(const fs::path& folder) {
  for (const char* name : {"diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.safetensors.index.json",
                           "diffusion_pytorch_model.bin", "diffusion_pytorch_model.fp16.safetensors"})
    if (is_file(folder / name)) return (folder / name).string();
  return folder.string();  // an index of shards under another name, or the error of the reader
}

std::string scheduler_near(const fs::path& folder) {
  const fs::path above = (fs::absolute(folder) / "..").lexically_normal();
  for (const fs::path& place : {folder, folder / "scheduler", above / "scheduler", above})
    if (is_file(place / "scheduler_config.json")) return (place / "scheduler_config.json").string();
  return "";
}

// As diffusers' schedulers compute them, in float64.
std::vector<double> betas_of(const std::string& schedule, int64_t steps, double start, double end) {
  const auto at = [&](int64_t i, double low, double high) {
    return steps == 1 ? low : low + (high - low) * double(i) / double(steps - 1);
  };
  const auto alpha_bar = [](double t) {
    const double cosine = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
    return cosine * cosine;
  };
  std::vector<double> betas(static_cast<size_t>(steps));
  for (int64_t i = 0; i < steps; ++i) {
    double& beta = betas[size_t(i)];
    if (schedule == "linear") beta = at(i, start, end);
    if (schedule == "scaled_linear") beta = std::pow(at(i, std::sqrt(start), std::sqrt(end)), 2);
    if (schedule == "squaredcos_cap_v2")
      beta = std::min(0.999, 1 - alpha_bar(double(i + 1) / double(steps)) / alpha_bar(double(i) / double(steps)));
    if (schedule == "sigmoid") beta = (end - start) / (1 + std::exp(-at(i, -6, 6))) + start;
  }
  return betas;
}

void read_betas(const JsonNode& json, DiffusersScheduler* scheduler) {
  if (json.flag("rescale_betas_zero_snr", false)) json.refuse("rescale_betas_zero_snr", "false");
  const JsonNode* trained = json.find("trained_betas");
  if (trained != nullptr) {
    for (const JsonNode& beta : json.items("trained_betas"))
      scheduler->betas.push_back(beta.as_number("trained_betas"));
    if (scheduler->betas.empty()) json.refuse("trained_betas", "null, or at least one beta");
    scheduler->betas_are = concat_message(scheduler->betas.size(), " trained_betas");
    return;
  }
  const int64_t steps = json.count("num_train_timesteps", 1000);
  if (steps < 1 || steps > kMostSteps) json.refuse("num_train_timesteps", concat_message("1 to ", kMostSteps));
  const std::string schedule =
      json.choice("beta_schedule", {"linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid"}, "linear");
  const double start = json.number("beta_start", 1e-4), end = json.number("beta_end", 0.02);
  for (const auto& [key, beta] : {std::pair{"beta_start", start}, {"beta_end", end}})
    if (!(beta > 0 && beta < 1)) json.refuse(key, "more than 0 and less than 1");
  scheduler->betas = betas_of(schedule, steps, start, end);
  scheduler->betas_are = concat_message("num_train_timesteps ", steps, ", beta_schedule ", schedule);
  if (schedule != "squaredcos_cap_v2")
    scheduler->betas_are += concat_message(", beta_start ", number_text(start), ", beta_end ", number_text(end));
}

}  // namespace

DiffusersFolder find_diffusers_folder(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    const fs::path folder = fs::path(path).parent_path();
    const std::string config = if_file(folder / "config.json");
    return {path, config, "", "", config.empty() ? "" : scheduler_near(folder)};
  }
  fs::path folder = path, ema;
  if (!is_file(folder / "config.json")) {
    for (const char* name : {"unet_ema", "unet"})  // the second where both are there
      if (is_file(fs::path(path) / name / "config.json")) folder = fs::path(path) / name;
    if (folder.filename() == "unet") ema = fs::path(path) / "unet_ema";
  }
  DiffusersFolder found{weights_in(folder), if_file(folder / "config.json"), "", "", scheduler_near(folder)};
  if (!ema.empty() && is_file(ema / "config.json")) {
    found.ema = weights_in(ema);
    found.ema_config = (ema / "config.json").string();
  }
  return found;
}

DiffusersScheduler parse_diffusers_scheduler(const std::string& text, const std::string& where) {
  const JsonNode json = parse_json(text, where);
  json.choice(
      "_class_name",
      {"DDPMScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDIMParallelScheduler", "PNDMScheduler",
       "DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler", "DEISMultistepScheduler",
       "UniPCMultistepScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "LMSDiscreteScheduler"},
      "DDPMScheduler");
  if (json.flag("use_flow_sigmas", false)) json.refuse("use_flow_sigmas", "false");
  DiffusersScheduler scheduler;
  read_betas(json, &scheduler);
  const bool predicts_x0 = !json.flag("predict_epsilon", true);  // before 0.10
  const std::string prediction =
      json.choice("prediction_type", {"epsilon", "sample", "v_prediction"}, predicts_x0 ? "sample" : "epsilon");
  scheduler.prediction = prediction == "epsilon" ? "eps" : prediction == "sample" ? "x0" : "v";
  const std::string variance =
      json.choice("variance_type",
                  {"fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned_range"}, "fixed_small");
  if (variance.starts_with("fixed_large")) scheduler.variance = "beta";
  if (variance == "learned_range") scheduler.variance = "learned";
  return scheduler;
}

}  // namespace echodiff
