#include "nn/torch_import/storage_plan.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr int64_t kBlock = 256 * 1024;  // bytes: stays in the cache between reading and placing

void swap_elements(char* bytes, int64_t count, int64_t element) {
  for (int64_t i = 0; i + element <= count; i += element) std::reverse(bytes + i, bytes + i + element);
}

int64_t saturating_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

}  // namespace

StoragePlan::StoragePlan(const Pickle& pickle, const FlatPickle& flat, int64_t file_size, bool swap, std::string path)
    : pickle_(pickle), flat_(flat), swap_(swap), path_(std::move(path)), of_storage_(pickle.storages.size()) {
  using Key = std::tuple<uint32_t, StoredType, int64_t, PoolVector<int64_t>, std::vector<int64_t>>;
  std::map<Key, size_t> known;
  std::vector<int64_t> made(pickle.storages.size(), 0);  // bytes of all tensors, also of the same once more
  for (const FlatPickle::Entry& entry : flat.tensors) {
    const PickleTensor& tensor = pickle.tensors[entry.tensor];
    const auto [place, is_new] = known.emplace(
        Key{tensor.storage, tensor.type, tensor.view.offset, tensor.view.shape.sizes(), tensor.view.strides},
        views_.size());
    view_of_.push_back(place->second);
    made[tensor.storage] =
        saturating_add(made[tensor.storage], *bytes_of(tensor.view.shape, size_of(value_type(tensor.type))));
    if (!is_new) continue;
    of_storage_[tensor.storage].push_back(views_.size());
    views_.push_back({&tensor, &entry.name, nullptr, {}});
  }
  int64_t excess = 0;  // bytes of tensors beyond what their storages hold
  for (size_t storage = 0; storage < of_storage_.size(); ++storage) {
    const int64_t elements = pickle.storages[storage].count;
    const int64_t own =
        pickle.storages[storage].untyped ? elements * 8 : elements * size_of(value_type(pickle.storages[storage].type));
    excess = saturating_add(excess, std::max<int64_t>(0, made[storage] - own));
    check_input(excess <= 2 * file_size + (64LL << 20), Fault::kBadInput, path_, ": storage ",
                in_quotes(pickle.storages[storage].key), " of ", elements,
                " elements: its tensors repeat elements (shared, stride 0 or overlap) to ", made[storage],
                " bytes, expected at most 2 x the file + 64 MiB; save .clone()s of them");
    check_input(!swap || !pickle.storages[storage].untyped, Fault::kBadInput, path_, ": storage ",
                in_quotes(pickle.storages[storage].key), " is big-endian without a type, and is not read");
  }
}

int64_t StoragePlan::bytes_of_storage(size_t storage) const {
  return pickle_.storages[storage].count * size_of(pickle_.storages[storage].type);
}

int64_t StoragePlan::block_bytes(size_t storage) const {
  const std::vector<size_t>& views = of_storage_[storage];
  const bool in_order =
      std::all_of(views.begin(), views.end(), [&](size_t view) { return is_in_order(views_[view].tensor->view); });
  return in_order ? kBlock : std::max<int64_t>(bytes_of_storage(storage), 1);
}

void StoragePlan::take(size_t storage, char* bytes, int64_t first, int64_t count) {
  if (first == 0) begin(storage);
  if (swap_) swap_elements(bytes, count, size_of(pickle_.storages[storage].type));
  for (const size_t view : of_storage_[storage]) {
    const int64_t element = size_of(views_[view].tensor->type);
    views_[view].reader->take(bytes, first / element, count / element);
  }
  if (first + count == bytes_of_storage(storage)) end(storage);
}

void StoragePlan::begin(size_t storage) {
  for (const size_t view : of_storage_[storage])
    views_[view].reader = std::make_unique<ViewReader>(views_[view].tensor->type, views_[view].tensor->view);
}

void StoragePlan::end(size_t storage) {
  for (const size_t view : of_storage_[storage]) {
    views_[view].made = views_[view].reader->finish(path_ + ": tensor " + in_quotes(*views_[view].name));
    views_[view].reader = nullptr;
  }
}

WeightsFile StoragePlan::finish(const std::string& kind) {
  WeightsFile file;
  file.path = path_;
  file.kind = kind;
  file.leaves = flat_.leaves;
  for (size_t i = 0; i < flat_.tensors.size(); ++i) {
    View& view = views_[view_of_[i]];
    if (!view.made && bytes_of_storage(view.tensor->storage) == 0) {  // an empty storage has no block to go by
      begin(view.tensor->storage);
      end(view.tensor->storage);
    }
    file.tensors.push_back({flat_.tensors[i].name, torch_name(view.tensor->type), view.made});
  }
  file.facts.push_back(concat_message("pickle protocol ", pickle_.protocol));
  if (const size_t shared = flat_.tensors.size() - views_.size(); shared > 0)
    file.facts.push_back(concat_message(shared, " tensors are the same as others"));
  const auto moved = std::ranges::find_if(pickle_.storages, [](const auto& it) { return it.location != "cpu"; });
  if (moved != pickle_.storages.end())
    file.facts.push_back(concat_message("saved from ", in_quotes(moved->location), ", read to the CPU"));
  if (swap_) file.facts.push_back("big-endian: elements were swapped");
  return file;
}

}  // namespace echodiff
