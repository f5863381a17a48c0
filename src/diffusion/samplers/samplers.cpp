#include "diffusion/samplers/samplers.h"

#include <algorithm>

#include "diffusion/samplers/ddim.h"
#include "diffusion/samplers/ddpm.h"
#include "diffusion/samplers/dpmpp.h"
#include "diffusion/samplers/unipc.h"
#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr Sampler kSamplers[] = {
    {.name = "ddpm", .summary = "ancestral", .takes_variance = true, .begins_anywhere = true, .rows = ddpm_steps},
    {.name = "ddim",
     .summary = "deterministic, or with a share of fresh noise",
     .usual_steps = 50,
     .rederives_eps = true,
     .takes_eta = true,
     .takes_grid = true,
     .begins_anywhere = true,
     .rows = ddim_steps},
    {.name = "dpmpp",
     .summary = "DPM-Solver++(2M), deterministic, second order",
     .usual_steps = 20,
     .spared_steps = 1,
     .clips = false,  // as diffusers; the others clip as denoising-diffusion-pytorch
     .takes_grid = true,
     .rows = dpmpp_steps},
    {.name = "unipc",
     .summary = "UniPC (bh2), deterministic, second order with a corrector that costs no call",
     .usual_steps = 20,
     .spared_steps = 1,
     .clips = false,
     .takes_grid = true,
     .rows = unipc_steps}};

}  // namespace

int64_t Sampler::default_steps(int64_t T) const {
  return usual_steps == 0 ? T : std::clamp<int64_t>(T - spared_steps, 1, usual_steps);
}

std::span<const Sampler> samplers() { return kSamplers; }

const Sampler& sampler_of(const std::string& name) {
  std::string names;
  for (const Sampler& sampler : kSamplers) {
    if (name == sampler.name) return sampler;
    names += concat_message(names.empty() ? "" : ", ", sampler.name);
  }
  throw Error(Fault::kUsage, concat_message("sampler: expected one of ", names, ", found '", name, "'"));
}

}  // namespace echodiff
