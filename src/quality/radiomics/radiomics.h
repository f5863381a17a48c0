// Radiomic features of a picture: first-order, GLCM, GLRLM and NGTDM, on the picture as it is and on Laplacians of
// Gaussians of it. Independent of every network. What the Frechet radiomic distance compares (Osuala et al.
// 2024, arXiv:2403.13890; Konz et al. 2024, arXiv:2412.01496: wavelets, GLSZM and shape features are left out).
#pragma once

#include <vector>

#include "quality/radiomics/features.h"
#include "tensor/io/gray_image.h"

namespace echodiff {

struct RadiomicOptions {
  double bin_width = 8;                    // grey levels, of the texture matrices
  std::vector<double> sigmas = {1, 2, 3};  // pixels, of the Laplacians of Gaussians
};

// "original_glcm_Contrast" .. "log3_ngtdm_Strength": 61 for the picture and for each sigma, over the pixels where
// `sector` isn't 0. The filters see the whole picture. All NaN for an empty sector, those of
// the GLCM where no pixel has a neighbour.
// Throws Error(kInternal) when the sizes differ.
Features radiomic_features(const GrayImage& image, const GrayImage& sector, const RadiomicOptions& options = {});

}  // namespace echodiff
