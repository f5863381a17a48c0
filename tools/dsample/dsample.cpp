// dsample: pictures from a diffusion run, conditioned on the masks of a data-set folder, with a judge in the loop if
// wanted; and what is made from whole trajectories: recordings, replays on them, rules fitted on them. The sampling
// itself is quality/sampling/sampler.h.
#include "dsample/dsample.h"

int main(int argc, char** argv) {
  using namespace echodiff;
  open_standard_streams();  // old flags are looked for in the config file before the program runs
  std::vector<std::string> arguments = in_new_form({argv + 1, argv + argc});
  std::vector<char*> pointers{argv[0]};
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return run_program(
      int(pointers.size()), pointers.data(),
      {"dsample", "Samples pictures from a diffusion run, conditioned on masks, with a judge in the loop if wanted.",
       "dsample --model run --masks phantom --count 16 --sampler ddim --sample-steps 50 --out samples"},
      [](Options& program) {
        add_sample(program);
        add_record(program);
        add_replay(program);
        add_fit(program);
        add_fit_exits(program);
        add_fit_grid(program);
        add_ceiling(program);
        add_merge(program);
        ignore_old_keys(program);
      });
}
