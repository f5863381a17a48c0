// An evaluation as the tables that dlabel evaluate prints.
#pragma once

#include "quality/evaluate/evaluation.h"

namespace echodiff {

void print_evaluation(const Evaluation& all);

}  // namespace echodiff
