#include "dtrain/diffusion_data.h"

#include "dtrain/init.h"
#include "tensor/io/text.h"
#include "train/folder/planes.h"

namespace echodiff {
namespace {

void open_replay(const DiffusionFlags& flags, DiffusionData& data, DenoiserRun* run) {
  data.replay.emplace(flags.replay, run->T);
  run->image_size = data.replay->image_size();
  run->fit = Fit::squash;  // there was nothing to fit
  for (int64_t p = 1; p < data.replay->planes(); ++p) run->planes.push_back("plane_" + std::to_string(p));
  run->planes.push_back("sector");
}

}  // namespace

DiffusionData open_data(const DiffusionFlags& flags, const Common& common, const std::optional<DenoiserRun>& earlier,
                        DenoiserRun* run) {
  DiffusionData data;
  if (!flags.replay.empty()) {
    open_replay(flags, data, run);
  } else {
    data.dataset = load_dataset(
        {.directory = flags.data, .image_size = flags.image_size, .planes = flags.planes, .fit = run->fit});
    if (earlier) order_planes(*data.dataset, earlier->planes, flags.init.empty() ? flags.out : flags.init, flags.data);
    for (const std::string& line : data.dataset->notes) note(common, line);
    note(common, summary_of(*data.dataset, flags.data));
    data.training.emplace(*data.dataset, "train", common.seed, flags.augment);
    data.held_out.emplace(*data.dataset, "val", common.seed, AugmentOptions());
    check_input(data.training->size() > 0, Fault::kBadInput, flags.data, ": no picture is in the train split");
    run->image_size = data.dataset->image_size;
    run->planes = data.dataset->plane_names;
  }
  run->options.planes = int64_t(run->planes.size());
  run->options.image_size = run->image_size;
  shift_schedule(earlier, flags, common, run);
  return data;
}

StateDict initial_weights(const DiffusionFlags& flags, const Common& common, DenoiserRun* run) {
  if (flags.init.empty()) return {};
  const InitialNetwork read = read_initial_network(flags, common);
  check_input(read.options.planes == int64_t(run->planes.size()), Fault::kBadInput, flags.init, ": its network takes ",
              read.options.planes, " masks, the data has ", run->planes.size(), " (", join(run->planes),
              "); choose others with --planes");
  check_input(read.options.augment_labels == run->options.augment_labels, Fault::kUsage, "--augment: ", flags.init,
              " was trained ", read.options.augment_labels > 0 ? "with it" : "without it", "; its network takes ",
              read.options.augment_labels, " labels, expected ", run->options.augment_labels);
  run->options = read.options;
  run->options.image_size = run->image_size;
  return read.weights;
}

}  // namespace echodiff
