#include "nn/torch_import/pickle_names.h"

#include <algorithm>
#include <unordered_set>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Kind = PickleValue::Kind;

constexpr size_t kMaxDepth = 256;
constexpr size_t kMaxListed = 1000;   // plain values of one list that become leaves
constexpr size_t kMaxName = 4096;     // bytes
constexpr uint32_t kMaxText = 65536;  // of a leaf's text that is kept

class Flattener {
 public:
  Flattener(const Pickle& pickle, PickleBytes& bytes, const std::string& where)
      : pickle_(pickle),
        bytes_(bytes),
        where_(where),
        open_(pickle.containers.size()),
        budget_((16LL << 20) + 2 * bytes.size()) {}

  FlatPickle run() {
    const Kind kind = pickle_.root.kind;
    require(pickle_.root.is_container() || kind == Kind::kTensor, "holds ", kind_name(kind),
            ", expected a dictionary of tensors (a state_dict)");
    if (kind == Kind::kTensor) name_ = "tensor";
    visit(pickle_.root, 0);
    require(!flat_.tensors.empty(), "holds no tensor, expected a dictionary of tensors (a state_dict)");
    return std::move(flat_);
  }

 private:
  template <class... Parts> void require(bool holds, const Parts&... parts) const {
    check_input(holds, Fault::kBadInput, where_, ": ", parts...);
  }
  std::string text(const PickleValue& value, uint32_t most) {
    return std::string(bytes_.at(value.integer, std::min(value.index, most)));
  }

  void visit(const PickleValue& value, size_t depth) {
    budget_ -= int64_t(name_.size()) + 160;
    require(budget_ >= 0, "key ", in_quotes(name_),
            ": its values are more than the pickle's size allows; the file is damaged or hostile");
    if (value.kind == Kind::kTensor) {
      require(is_utf8(name_), "key ", in_quotes(name_), " is not UTF-8; the file is damaged");
      require(names_.insert(name_).second, "two tensors are called ", in_quotes(name_), "; rename one and save again");
      flat_.tensors.push_back({name_, value.index});
    } else if (value.is_container() && !listed_whole(value)) {
      visit_items(value, depth);
    } else {
      flat_.leaves.push_back(leaf_of(value));
      flat_.leaves.back().name = name_;
    }
  }

  // Shown as one leaf: empty, or long and plain.
  bool listed_whole(const PickleValue& value) const {
    const std::vector<PickleValue>& items = pickle_.containers[value.index];
    if (value.kind == Kind::kObject) return items[1].kind != Kind::kDict;
    return items.empty() || (items.size() > kMaxListed && value.kind != Kind::kDict &&
                             std::none_of(items.begin(), items.end(), [](const PickleValue& item) {
                               return item.is_container() || item.kind == Kind::kTensor;
                             }));
  }

  void visit_items(const PickleValue& value, size_t depth) {
    require(!open_[value.index], "key ", in_quotes(name_), ": ", kind_name(value.kind),
            " that contains itself; the file is damaged or hostile");
    require(depth < kMaxDepth, "key ", in_quotes(name_), " is nested deeper than ", kMaxDepth,
            " containers; the file is damaged or hostile");
    open_[value.index] = true;
    const std::vector<PickleValue>& items = pickle_.containers[value.index];
    if (value.kind == Kind::kDict) {
      for (size_t i = 0; i < items.size(); i += 2) visit_named(key_text(items[i]), items[i + 1], depth);
    } else if (value.kind == Kind::kObject) {
      visit(items[1], depth + 1);
    } else {
      for (size_t i = 0; i < items.size(); ++i) visit_named(std::to_string(i), items[i], depth);
    }
    open_[value.index] = false;
  }

  void visit_named(const std::string& key, const PickleValue& value, size_t depth) {
    const size_t before = name_.size();
    if (depth > 0) name_ += '.';
    name_ += key;
    require(name_.size() <= kMaxName, "key ", in_quotes(name_), " is longer than ", kMaxName, " bytes");
    visit(value, depth + 1);
    name_.resize(before);
  }

  std::string key_text(const PickleValue& key) {
    if (key.kind == Kind::kTuple) {  // (0, "a") as "0,a"
      std::string joined;
      for (const PickleValue& part : pickle_.containers[key.index]) {
        require(!part.is_container() && joined.size() <= kMaxName, "key ", in_quotes(name_), " has a key that is ",
                kind_name(part.kind), " within a tuple; use text");
        joined += (joined.empty() ? "" : ",") + key_text(part);
      }
      return joined;
    }
    require(key.kind <= Kind::kBytes, "key ", in_quotes(name_), " has a key that is ", kind_name(key.kind),
            ", expected text or a number; the file is damaged");
    require(key.kind < Kind::kLong || key.index <= kMaxName, "key ", in_quotes(name_), " has a key of ", key.index,
            " bytes, expected at most ", kMaxName);
    return key.kind == Kind::kText || key.kind == Kind::kBytes ? text(key, key.index) : leaf_of(key).text;
  }

  SourceLeaf leaf_of(const PickleValue& value) {
    SourceLeaf leaf;
    switch (value.kind) {
      case Kind::kNone:
        leaf.kind = SourceLeaf::Kind::kNone;
        leaf.text = "None";
        break;
      case Kind::kBoolean:
      case Kind::kInteger:
        leaf.kind = value.kind == Kind::kBoolean ? SourceLeaf::Kind::kBoolean : SourceLeaf::Kind::kInteger;
        leaf.integer = value.integer;
        leaf.real = double(value.integer);
        leaf.text = value.kind == Kind::kInteger ? std::to_string(value.integer) : value.integer ? "True" : "False";
        break;
      case Kind::kReal:
        leaf.kind = SourceLeaf::Kind::kReal;
        leaf.real = value.real;
        leaf.text = number_text(value.real);
        break;
      case Kind::kText:
        leaf.kind = SourceLeaf::Kind::kText;
        leaf.text = text(value, kMaxText);
        budget_ -= int64_t(leaf.text.size());
        break;
      case Kind::kLong: leaf.text = concat_message("an integer of ", value.index, " bytes"); break;
      case Kind::kBytes: leaf.text = concat_message(value.index, " bytes"); break;
      case Kind::kGlobal: leaf.text = concat_message(value.global->module, ".", value.global->name); break;
      case Kind::kObject: leaf.text = leaf_of(pickle_.containers[value.index][0]).text; break;
      case Kind::kStorage: leaf.text = "a storage"; break;
      default: leaf.text = concat_message(kind_name(value.kind), " of ", pickle_.containers[value.index].size()); break;
    }
    return leaf;
  }

  const Pickle& pickle_;
  PickleBytes& bytes_;
  const std::string& where_;
  std::vector<bool> open_;  // the containers that lead to the current one
  int64_t budget_;          // bytes of memory that may still be asked for
  std::string name_;
  std::unordered_set<std::string> names_;
  FlatPickle flat_;
};

}  // namespace

FlatPickle flatten_pickle(const Pickle& pickle, PickleBytes& bytes, const std::string& where) {
  return Flattener(pickle, bytes, where).run();
}

}  // namespace echodiff
