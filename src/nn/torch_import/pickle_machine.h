// The state of reading one pickle: used by pickle.cpp (the opcodes) and pickle_reduce.cpp (what REDUCE, BUILD and
// BINPERSID stand for).
#pragma once

#include "nn/torch_import/pickle.h"

namespace echodiff {

class PickleMachine {
 public:
  PickleMachine(PickleBytes& bytes, int64_t begin, std::string where)
      : bytes_(bytes), where_(std::move(where)), at_(begin), budget_((32LL << 20) + bytes.size() - begin) {}

  Pickle run();

 private:
  using Value = PickleValue;
  using Kind = PickleValue::Kind;
  using Items = std::vector<PickleValue>;

  // A part of a storage: what a persistent id gives.
  struct StorageUse {
    uint32_t storage;
    int64_t base, count;  // in elements
  };

  // pickle.cpp
  void step(uint8_t opcode);
  bool step_scalar(uint8_t opcode);
  bool step_container(uint8_t opcode);
  bool step_memo(uint8_t opcode);
  [[noreturn]] void refuse_opcode(uint8_t opcode) const;
  uint64_t unsigned_number(int64_t length);  // little-endian, 1 to 8 bytes
  Value string_of(Kind kind, uint64_t length);
  Value long_of(uint64_t length);
  std::string line();
  static Value value_of(Kind kind, int64_t integer, size_t index = 0);
  static Value value_of(const KnownGlobal& global);
  Value new_container(Kind kind, Items items);
  void append_to(const Value& container, const Items& items, Kind kind);
  void push(Value value);
  Value pop();
  Items pop_to_mark();
  Items pop_items(size_t count);
  void memoize(uint64_t index, const Value& value);
  void charge(int64_t bytes);

  // pickle_reduce.cpp
  void reduce();
  void build();
  void persistent_id();
  Value call(const KnownGlobal& global, const Items& arguments);  // nothing is called: what the pair stands for
  Value new_dict(const Items& arguments);
  Value rebuild_tensor(const KnownGlobal& global, const Items& arguments);
  Value rewrap_tensor(const KnownGlobal& global, const Items& arguments) const;
  Value rebuild_from_type(const KnownGlobal& global, const Items& arguments);
  Value inert(const KnownGlobal& global, const Items& arguments);
  void expect_count(const KnownGlobal& global, const Items& arguments, size_t least, size_t most) const;
  const KnownGlobal& global_of(const Value& value, const char* what) const;
  std::vector<int64_t> integers_of(const Value& value, const char* what) const;
  int64_t integer_of(const Value& value, const char* what) const;

  // Text of at most 1024 bytes.
  std::string short_text(const Value& value, const char* what);
  // Valid until the next container is made.
  const Items& items_of(const Value& value) const { return pickle_.containers[value.index]; }

  // Throws Error(kBadInput) that names the file and the byte of the opcode.
  template <class... Parts> [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(Fault::kBadInput, concat_message(where_, ": byte ", opcode_at_, ": ", parts...));
  }
  template <class... Parts> void require(bool holds, const Parts&... parts) const {
    if (!holds) fail(parts...);
  }

  PickleBytes& bytes_;
  std::string where_;
  int64_t at_, opcode_at_ = 0;
  int64_t budget_;  // bytes of memory that may still be asked for
  std::vector<Value> stack_;
  std::vector<size_t> marks_;  // sizes of the stack where they were set
  std::vector<Value> memo_;    // picklers count from 0; what does not lies in sparse_memo_
  std::unordered_map<uint64_t, Value> sparse_memo_;
  std::vector<StorageUse> uses_;
  std::unordered_map<std::string, uint32_t> storage_of_key_;
  Pickle pickle_;
};

}  // namespace echodiff
