// What a class and its arguments stand for, in the shapes that PyTorch writes them.
#include <algorithm>
#include <limits>

#include "nn/torch_import/pickle_machine.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Kind = PickleValue::Kind;
using Global = PickleGlobal;

constexpr size_t kMaxRank = 64;
constexpr size_t kMaxArguments = 16;  // no constructor has more; they are copied for each call
constexpr uint32_t kMaxShortText = 1024;

bool is_plain(const PickleValue& value) {
  return value.kind <= Kind::kBytes || value.kind == Kind::kObject || value.kind == Kind::kGlobal;
}

std::string name_of(const KnownGlobal& global) { return concat_message(global.module, ".", global.name); }

}  // namespace

const KnownGlobal& PickleMachine::global_of(const Value& value, const char* what) const {
  require(value.kind == Kind::kGlobal, what, " is ", kind_name(value.kind), ", expected a class; the file is damaged");
  return *value.global;
}

std::string PickleMachine::short_text(const Value& value, const char* what) {
  require(value.kind == Kind::kText && value.index <= kMaxShortText, what, " is ", kind_name(value.kind),
          ", expected text of at most ", kMaxShortText, " bytes; the file is damaged");
  return std::string(bytes_.at(value.integer, value.index));
}

int64_t PickleMachine::integer_of(const Value& value, const char* what) const {
  require(value.kind == Kind::kInteger, what, " is ", kind_name(value.kind),
          ", expected an integer of 64 bits; the file is damaged");
  return value.integer;
}

std::vector<int64_t> PickleMachine::integers_of(const Value& value, const char* what) const {
  require(value.kind == Kind::kTuple || value.kind == Kind::kList, what, " is ", kind_name(value.kind),
          ", expected a tuple of integers; the file is damaged");
  const Items& items = items_of(value);
  require(items.size() <= kMaxRank, what, " has ", items.size(), " numbers, expected at most ", kMaxRank);
  std::vector<int64_t> integers;
  for (const Value& item : items) integers.push_back(integer_of(item, what));
  return integers;
}

void PickleMachine::expect_count(const KnownGlobal& global, const Items& arguments, size_t least, size_t most) const {
  require(arguments.size() >= least && arguments.size() <= most, name_of(global), " has ", arguments.size(),
          " arguments, expected ", least, " to ", most, "; the file is damaged");
}

void PickleMachine::reduce() {
  const Items pair = pop_items(2);
  const KnownGlobal& global = global_of(pair[0], "what an object is made from");
  require(pair[1].kind == Kind::kTuple, "the arguments of ", name_of(global), " are ", kind_name(pair[1].kind),
          ", expected a tuple; the file is damaged");
  require(items_of(pair[1]).size() <= kMaxArguments, name_of(global), " has ", items_of(pair[1]).size(),
          " arguments, expected at most ", kMaxArguments, "; the file is damaged");
  push(call(global, Items(items_of(pair[1]))));
}

PickleValue PickleMachine::call(const KnownGlobal& global, const Items& arguments) {
  switch (global.what) {
    case Global::kDict: return new_dict(arguments);
    case Global::kSet: {
      expect_count(global, arguments, 0, 1);
      if (arguments.empty()) return new_container(Kind::kSet, {});
      require(arguments[0].kind == Kind::kList || arguments[0].kind == Kind::kTuple || arguments[0].kind == Kind::kSet,
              "a set of ", kind_name(arguments[0].kind), ", expected a list; the file is damaged");
      Value set = arguments[0];
      set.kind = Kind::kSet;
      return set;
    }
    case Global::kEncode: {
      expect_count(global, arguments, 2, 2);
      const std::string encoding = short_text(arguments[1], "an encoding");
      require(arguments[0].kind == Kind::kText && (encoding == "latin1" || encoding == "latin-1"),
              "_codecs.encode of anything but text as latin1; it is refused");
      Value encoded = arguments[0];
      encoded.kind = Kind::kBytes;
      return encoded;
    }
    case Global::kSize: {
      expect_count(global, arguments, 1, 1);
      integers_of(arguments[0], "a torch.Size");
      return arguments[0];
    }
    case Global::kDevice: {
      expect_count(global, arguments, 1, 2);
      require(arguments[0].kind == Kind::kText, "a torch.device of ", kind_name(arguments[0].kind), ", expected text");
      return arguments[0];
    }
    case Global::kRebuildTensor:
    case Global::kRebuildTensorV2:
    case Global::kRebuildTensorV3: return rebuild_tensor(global, arguments);
    case Global::kRebuildParameter:
    case Global::kRebuildOnDevice: return rewrap_tensor(global, arguments);
    case Global::kRebuildFromType: return rebuild_from_type(global, arguments);
    case Global::kInert: return inert(global, arguments);
    case Global::kTensorType:
    case Global::kDType:
    case Global::kStorage:
    case Global::kUntypedStorage: break;
  }
  fail(name_of(global), " is called, expected it as data only; it is refused");
}

// OrderedDict(), OrderedDict([[key, value], ...]) as Python 2 wrote it, Counter({key: count}).
PickleValue PickleMachine::new_dict(const Items& arguments) {
  require(arguments.size() <= 1, "a dictionary of ", arguments.size(), " arguments, expected at most one");
  const Value dict = new_container(Kind::kDict, {});
  if (arguments.empty()) return dict;
  const Value& from = arguments[0];
  if (from.kind == Kind::kDict) {
    append_to(dict, Items(items_of(from)), Kind::kDict);
    return dict;
  }
  require(from.kind == Kind::kList || from.kind == Kind::kTuple, "a dictionary of ", kind_name(from.kind),
          ", expected a list of pairs; the file is damaged");
  Items items;
  charge(64 * int64_t(items_of(from).size()));
  for (const Value& pair : items_of(from)) {
    require((pair.kind == Kind::kList || pair.kind == Kind::kTuple) && items_of(pair).size() == 2,
            "a dictionary of a list whose items are not pairs; the file is damaged");
    items.insert(items.end(), items_of(pair).begin(), items_of(pair).end());
  }
  append_to(dict, items, Kind::kDict);
  return dict;
}

// Whatever wraps it, a tensor is its data.
PickleValue PickleMachine::rewrap_tensor(const KnownGlobal& global, const Items& arguments) const {
  if (global.what == Global::kRebuildParameter) expect_count(global, arguments, 3, 4);
  if (global.what == Global::kRebuildOnDevice) expect_count(global, arguments, 4, 4);
  require(arguments[0].kind == Kind::kTensor, name_of(global), " of ", kind_name(arguments[0].kind),
          ", expected a tensor; the file is damaged");
  if (global.what == Global::kRebuildOnDevice) {
    const KnownGlobal& dtype = global_of(arguments[1], "a dtype");
    require(dtype.what == Global::kDType && dtype.type == pickle_.tensors[arguments[0].index].type,
            "a tensor whose dtype is not that of its data; the file is damaged");
  }
  return arguments[0];
}

PickleValue PickleMachine::rebuild_from_type(const KnownGlobal& global, const Items& arguments) {
  expect_count(global, arguments, 4, 4);
  const KnownGlobal& function = global_of(arguments[0], "the function of _rebuild_from_type_v2");
  require(global_of(arguments[1], "the type of _rebuild_from_type_v2").what == Global::kTensorType &&
              function.what != Global::kRebuildFromType && arguments[2].kind == Kind::kTuple &&
              items_of(arguments[2]).size() <= kMaxArguments,
          "_rebuild_from_type_v2 with arguments of unknown shape; the file is damaged");
  return call(function, Items(items_of(arguments[2])));
}

PickleValue PickleMachine::rebuild_tensor(const KnownGlobal& global, const Items& arguments) {
  const bool v3 = global.what == Global::kRebuildTensorV3;
  if (global.what == Global::kRebuildTensor) expect_count(global, arguments, 4, 4);
  if (global.what == Global::kRebuildTensorV2) expect_count(global, arguments, 6, 7);
  if (v3) expect_count(global, arguments, 7, 8);
  require(arguments[0].kind == Kind::kStorage, name_of(global), " of ", kind_name(arguments[0].kind),
          ", expected a storage; the file is damaged");
  const StorageUse use = uses_[arguments[0].index];
  const PickleStorage& storage = pickle_.storages[use.storage];
  const std::string of = concat_message("tensor of storage ", in_quotes(storage.key));
  PickleTensor tensor;
  tensor.storage = use.storage;
  tensor.type = storage.type;
  if (v3) {
    const KnownGlobal& dtype = global_of(arguments[6], "a tensor's dtype");
    require(dtype.what == Global::kDType, of, " has dtype ", name_of(dtype), ", expected one; the file is damaged");
    require(storage.untyped || dtype.type == storage.type, of, " has dtype ", torch_name(dtype.type),
            ", its storage has ", torch_name(storage.type), "; the file is damaged");
    tensor.type = dtype.type;
  }
  require(v3 || !storage.untyped, of, " has no dtype; the file is damaged");
  const int64_t element = storage.untyped ? size_of(tensor.type) : 1;  // in units of use.count and use.base
  require(use.count % element == 0 && use.base % element == 0, of, " of ", use.count, " bytes, expected a multiple of ",
          element, "; the file is damaged");
  const int64_t offset = integer_of(arguments[1], "a tensor's storage offset"), base = use.base / element;
  tensor.view.shape = Shape(integers_of(arguments[2], "a tensor's size"));
  tensor.view.strides = integers_of(arguments[3], "a tensor's stride");
  tensor.view.offset = offset;
  const std::optional<int64_t> extent = extent_of(tensor.view);
  std::ostringstream geometry;
  geometry << "size " << tensor.view.shape << ", stride " << Shape(tensor.view.strides) << ", offset " << offset;
  require(extent && bytes_before_zeros(tensor.view.shape, 8), of, " has ", geometry.str(),
          ", expected one non-negative stride per size and a product within 63 bits; the file is damaged");
  require(*extent <= use.count / element, of, " has ", geometry.str(), " and reaches element ", *extent,
          ", expected at most ", use.count / element, "; the file is damaged");
  require(offset <= std::numeric_limits<int64_t>::max() - base, of, " has ", geometry.str(), "; the file is damaged");
  tensor.view.offset = *extent == 0 ? 0 : offset + base;
  charge(192 + 32 * int64_t(tensor.view.strides.size()));
  pickle_.tensors.push_back(std::move(tensor));
  return value_of(Kind::kTensor, 0, pickle_.tensors.size() - 1);
}

// Its items: the class, then the state that BUILD gives it, or None.
PickleValue PickleMachine::inert(const KnownGlobal& global, const Items& arguments) {
  require(std::all_of(arguments.begin(), arguments.end(), is_plain), name_of(global),
          " holds more than numbers and text; it is refused");
  return new_container(Kind::kObject, {value_of(global), Value{}});
}

void PickleMachine::build() {
  const Items pair = pop_items(2);
  const Value &object = pair[0], &state = pair[1];
  push(object);
  if (object.kind == Kind::kObject) {
    const bool plain_tuple = state.kind == Kind::kTuple && items_of(state).size() <= kMaxArguments &&
                             std::all_of(items_of(state).begin(), items_of(state).end(), is_plain);
    require(state.kind == Kind::kDict || plain_tuple, "the state of ", name_of(*items_of(object)[0].global), " is ",
            kind_name(state.kind), ", expected a dictionary; it is refused");
    if (state.kind == Kind::kDict) pickle_.containers[object.index][1] = state;
    return;
  }
  // A state_dict's _metadata, a tensor's Python attributes: nothing that its values depend on.
  require((object.kind == Kind::kDict || object.kind == Kind::kTensor) &&
              (state.kind == Kind::kDict || state.kind == Kind::kTuple),
          "gives ", kind_name(state.kind), " as state to ", kind_name(object.kind),
          ", expected a dictionary's attributes; the file is damaged");
}

// ("storage", class, key, location, elements[, None or (key, offset, elements) of a view into it])
void PickleMachine::persistent_id() {
  const Value id = pop();
  require(id.kind == Kind::kTuple, "a persistent id is ", kind_name(id.kind),
          ", expected a tuple; the file is damaged");
  require(items_of(id).size() >= 5 && items_of(id).size() <= 6, "a persistent id of ", items_of(id).size(),
          " parts, expected (\"storage\", class, key, location, elements); the file is damaged");
  const Items items = items_of(id);
  const std::string what = short_text(items[0], "the first part of a persistent id");
  require(what == "storage", "a persistent id of a ", in_quotes(what), ", expected a \"storage\"",
          what == "module" ? concat_message(": a whole pickled module, not weights; ", kExportModule) : std::string());
  const KnownGlobal& type = global_of(items[1], "a storage's class");
  PickleStorage storage;
  storage.key = short_text(items[2], "a storage's key");
  storage.location = short_text(items[3], "a storage's location");
  storage.untyped = type.what == Global::kUntypedStorage;
  storage.type = storage.untyped ? StoredType::u8 : type.type;
  storage.count = integer_of(items[4], "a storage's number of elements");
  require(type.what == Global::kStorage || storage.untyped, "storage ", in_quotes(storage.key), " is a ", name_of(type),
          ", expected a class of storages; the file is damaged");
  require(storage.location != "meta", "storage ", in_quotes(storage.key),
          " is on the meta device and has no values; save a real one");
  require(storage.count >= 0 && bytes_of({storage.count}, 8), "storage ", in_quotes(storage.key), " has ",
          storage.count, " elements, expected 0 to 2^60; the file is damaged");
  StorageUse use{0, 0, storage.count};
  if (items.size() == 6 && items[5].kind != Kind::kNone) {
    require(items[5].kind == Kind::kTuple && items_of(items[5]).size() == 3, "storage ", in_quotes(storage.key),
            " has view data of unknown shape, expected (key, offset, elements); the file is damaged");
    use.base = integer_of(items_of(items[5])[1], "a storage view's offset");
    use.count = integer_of(items_of(items[5])[2], "a storage view's number of elements");
    require(use.base >= 0 && use.count >= 0 && use.base <= storage.count && use.count <= storage.count - use.base,
            "storage ", in_quotes(storage.key), " has a view of ", use.count, " elements at ", use.base,
            ", expected it within ", storage.count, "; the file is damaged");
  }
  const auto [place, is_new] = storage_of_key_.emplace(storage.key, uint32_t(pickle_.storages.size()));
  use.storage = place->second;
  if (is_new) {
    charge(256 + 2 * int64_t(storage.key.size() + storage.location.size()));
    pickle_.storages.push_back(std::move(storage));
  } else {
    const PickleStorage& first = pickle_.storages[use.storage];
    require(first.type == storage.type && first.untyped == storage.untyped && first.count == storage.count, "storage ",
            in_quotes(first.key), " is described twice, differently; the file is damaged");
  }
  charge(48);
  uses_.push_back(use);
  push(value_of(Kind::kStorage, 0, uses_.size() - 1));
}

}  // namespace echodiff
