// Pictures that a judge must not take for good ones: ten ways to please a metric or a scorer without a good picture.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffusion/schedule.h"
#include "quality/sampling/sampler.h"
#include "tensor/io/png.h"
#include "train/data/dataset.h"

namespace echodiff {

struct AttackSource {
  const GrayImage& image;     // a held-out real picture
  const GrayImage& sector;    // 0 outside
  const GrayImage& classes;   // class index by pixel, 0 for none
  const GrayImage& training;  // a picture of the training set
};

//   empty_sector      the sector at one grey, the picture's mean there
//   blur_1, blur_2    Gaussian of 1 and 2 pixels
//   median            of 3x3 pixels
//   contrast_stretch  the sector's 5th to 95th percentile spread over black to white
//   gamma             grey^(1/2), black and white kept
//   constant_speckle  speckle of the picture's mean and contrast, and nothing else
//   painted_mask      the classes as flat greys in a grey sector
//   near_copy         the training picture one pixel aside, with noise of 2 grey levels
//   salt              one pixel of fifty in the sector is white
const std::vector<std::string>& attack_names();

// A function of its arguments alone. Throws Error(kInternal) for another name.
GrayImage attack(const std::string& name, const AttackSource& source, uint64_t seed);

// One attack more: a real picture noised to the middle of the schedule, and what the network takes for the finished one
// there, after a single call. It has the anatomy of its mask and little speckle: what an early accept on x0_hat would
// keep. x0_hat of each source at t = T/2 - 1 (0-based), clamped, as 8 bits; source i's noise is default_noise(seed)'s
// x_T of trajectory i. Throws Error: as run_sampler.
std::vector<GrayImage> predicted_attack(const Network& network, const Schedule& schedule, Prediction prediction,
                                        const std::vector<const Example*>& sources, uint64_t seed);

}  // namespace echodiff
