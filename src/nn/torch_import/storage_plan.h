// Which tensors are made from which storage, and their making while the storages' bytes go by.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nn/torch_import/pickle_names.h"

namespace echodiff {

class StoragePlan {
 public:
  // Tensors that are the same view of the same storage become one, shared. Throws Error(kBadInput), starting with
  // `path`, when tensors repeat elements (shared, stride 0, overlap) beyond 2 x `file_size` + 64 MiB in all. `swap`:
  // elements are big-endian.
  StoragePlan(const Pickle& pickle, const FlatPickle& flat, int64_t file_size, bool swap, std::string path);

  int64_t bytes_of_storage(size_t storage) const;
  // How many bytes at a time: the whole storage when a view jumps back and forth in it.
  int64_t block_bytes(size_t storage) const;
  // The storage's bytes in order, `block_bytes` at a time. Swaps them in place where needed.
  void take(size_t storage, char* bytes, int64_t first, int64_t count);

  // When every storage has gone by: the file, with what a person may want to know of the pickle.
  WeightsFile finish(const std::string& kind);

 private:
  struct View {
    const PickleTensor* tensor;
    const std::string* name;             // of the first tensor that it makes
    std::unique_ptr<ViewReader> reader;  // while its storage goes by
    Tensor made;
  };
  void begin(size_t storage);
  void end(size_t storage);

  const Pickle& pickle_;
  const FlatPickle& flat_;
  bool swap_;
  std::string path_;
  std::vector<View> views_;
  std::vector<size_t> view_of_;                  // of each of flat.tensors
  std::vector<std::vector<size_t>> of_storage_;  // its views
};

// torch.save since 1.6: a zip of data.pkl and one record per storage.
WeightsFile read_torch_zip(const InputFile& input);
// torch.save before 1.6: five pickles, then the storages in order.
WeightsFile read_torch_legacy(const InputFile& input);

}  // namespace echodiff
