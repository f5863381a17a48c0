// Pickles of a magic number, a protocol version, facts about the machine, the object, and the list of storage keys;
// then for each key 8 bytes of its number of elements and the elements, little-endian whatever the machine.
#include <cstring>
#include <unordered_map>

#include "nn/torch_import/storage_plan.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kMagic("\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19", 10);  // 0x1950a86a20f9469cfc6c
constexpr int64_t kVersion = 1001;

class LegacyReader {
 public:
  explicit LegacyReader(const InputFile& input) : input_(input), bytes_(input) {}

  WeightsFile read() {
    read_preamble();
    const Pickle pickle = next("the object");
    const FlatPickle flat = flatten_pickle(pickle, bytes_, input_.path());
    StoragePlan plan(pickle, flat, input_.size(), false, input_.path());
    read_storages(pickle, plan);
    return plan.finish("legacy");
  }

 private:
  template <class... Parts> void require(bool holds, const Parts&... parts) const {
    check_input(holds, Fault::kBadInput, input_.path(), ": byte ", here_, ": ", parts...);
  }

  Pickle next(const char* what) {
    here_ = at_;
    require(at_ < input_.size(), "the file ends before ", what, "; it is cut off");
    Pickle pickle = read_pickle(bytes_, at_, input_.path());
    at_ = pickle.end;
    return pickle;
  }

  void read_preamble() {
    const PickleValue magic = next("the magic number").root;
    require(magic.kind == Kind::kLong && bytes_.at(magic.integer, magic.index) == kMagic,
            "a pickle that does not start with the magic number of torch.save; expected a zip, legacy or safetensors "
            "file of weights: save it with torch.save");
    const PickleValue version = next("the protocol version").root;
    require(version.kind == Kind::kInteger && version.integer == kVersion, "the protocol version is not ", kVersion,
            "; the file is damaged");
    const Pickle system = next("the facts about its machine");
    require(system.root.kind == Kind::kDict, "the facts about its machine are ", kind_name(system.root.kind),
            ", expected a dictionary; the file is damaged");
    const std::vector<PickleValue>& items = system.containers[system.root.index];
    for (size_t i = 0; i < items.size(); i += 2)
      if (items[i].kind == Kind::kText && bytes_.at(items[i].integer, items[i].index) == "little_endian")
        require(items[i + 1].kind == Kind::kBoolean && items[i + 1].integer == 1,
                "written on a big-endian machine, which is not read; save it as safetensors");
  }

  void read_storages(const Pickle& pickle, StoragePlan& plan) {
    std::unordered_map<std::string_view, size_t> numbers;
    for (size_t i = 0; i < pickle.storages.size(); ++i) numbers[pickle.storages[i].key] = i;
    const Pickle keys = next("the list of storages");
    require(keys.root.kind == Kind::kList, "the list of storages is ", kind_name(keys.root.kind),
            "; the file is damaged");
    const std::vector<PickleValue>& list = keys.containers[keys.root.index];
    require(list.size() == numbers.size(), list.size(), " storages are listed, the tensors need ", numbers.size(),
            "; the file is damaged");
    std::string block;
    for (const PickleValue& key : list) {
      require(key.kind == Kind::kText, "a storage's key is ", kind_name(key.kind),
              ", expected text; the file is damaged");
      const auto found = numbers.find(bytes_.at(key.integer, key.index));
      require(found != numbers.end(), "storage ", in_quotes(bytes_.at(key.integer, key.index)),
              " is listed twice or belongs to no tensor; the file is damaged");
      const size_t storage = found->second;
      numbers.erase(found);
      read_storage(pickle.storages[storage], storage, plan, &block);
    }
    here_ = at_;
    require(at_ == input_.size(), input_.size() - at_,
            " bytes follow the last storage, expected none; the file is damaged");
  }

  void read_storage(const PickleStorage& storage, size_t number, StoragePlan& plan, std::string* block) {
    int64_t count = 0;
    here_ = at_;
    const int64_t size = plan.bytes_of_storage(number);
    require(input_.size() - at_ >= 8 && input_.size() - at_ - 8 >= size, "storage ", in_quotes(storage.key), " of ",
            size, " bytes begins here, but only ", input_.size() - at_, " are left; the file is cut off");
    input_.read_at(at_, reinterpret_cast<char*>(&count), 8);
    require(count == storage.count, "storage ", in_quotes(storage.key), " has ", count,
            " elements, its tensors expect ", storage.count, "; the file is damaged");
    at_ += 8;
    for (int64_t first = 0; first < size;) {
      const int64_t part = std::min(plan.block_bytes(number), size - first);
      block->resize(size_t(part));
      input_.read_at(at_, block->data(), part);
      plan.take(number, block->data(), first, part);
      first += part;
      at_ += part;
    }
  }

  const InputFile& input_;
  PickleBytes bytes_;
  int64_t at_ = 0, here_ = 0;  // where the reading goes on; where the part being looked at began
};

}  // namespace

WeightsFile read_torch_legacy(const InputFile& input) { return LegacyReader(input).read(); }

}  // namespace echodiff
