// dtrain: trains the networks.
#include "dtrain/dtrain.h"

int main(int argc, char** argv) {
  using namespace echodiff;
  return run_program(argc, argv,
                     {"dtrain", "Trains the diffusion model, the judges of image quality and the segmenter.",
                      "dtrain diffusion --data DIR --out RUN --image-size 64 --epochs 200 --timesteps 2000"},
                     [](Options& program) {
                       add_diffusion(program);
                       add_scorer(program);
                       add_value(program);
                       add_segmenter(program);
                       add_ema(program);
                       add_status(program);
                       add_doctor(program);
                     });
}
