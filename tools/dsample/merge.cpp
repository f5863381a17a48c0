// dsample merge: the shards of one run as one folder.
#include <memory>
#include <vector>

#include "dsample/dsample.h"
#include "quality/recordings/recording_merge.h"
#include "quality/recordings/sample_merge.h"

namespace echodiff {

void add_merge(Options& program) {
  struct Flags {
    std::vector<std::string> shards;
    std::string out;
  };
  const std::shared_ptr<Flags> flags = std::make_shared<Flags>();
  Options& options =
      program.subcommand("merge", "Puts the shards of one run or recording together; refuses gaps and duplicates.",
                         "dsample merge --shards part-0 part-1 part-2 part-3 --out samples");
  options.add_list("--shards", flags->shards, "folders of all its shards", "DIR").required();
  options.add("--out", flags->out, "folder to make, as one process would have", "DIR").required();
  options.body([flags](const Common& common) {
    const bool recorded = !flags->shards.empty() && is_recording_part(flags->shards[0]);
    const int64_t count =
        recorded ? merge_recordings(flags->shards, flags->out) : merge_samples(flags->shards, flags->out);
    note(common, concat_message(flags->out, ": ", count, " trajectories of ", flags->shards.size(), " shards"));
    return 0;
  });
}

}  // namespace echodiff
