// One reader for each container; read_weights_file (weights_file.h) tells them apart.
#pragma once

#include "nn/torch_import/weights_file.h"
#include "tensor/io/file.h"

namespace echodiff {

// torch.save since 1.6: a zip of data.pkl and one record per storage.
WeightsFile read_torch_zip(const InputFile& input);
// torch.save before 1.6: five pickles, then the storages in order.
WeightsFile read_torch_legacy(const InputFile& input);
// {"weight_map": {NAME: FILE, ...}}: each tensor from a file beside the index. `read` reads one such file.
WeightsFile read_sharded(const InputFile& index, WeightsFile (*read)(const InputFile&));

}  // namespace echodiff
