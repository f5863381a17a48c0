#include "nn/torch_import/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "nn/torch_import/pickle_machine.h"
#include "nn/torch_import/pickle_opcodes.h"

namespace echodiff {
namespace {

constexpr size_t kMaxStack = size_t(1) << 20;        // values
constexpr uint64_t kMaxString = uint64_t(64) << 20;  // bytes
constexpr int64_t kMaxName = 1024;                   // bytes of a class's module or name
constexpr int64_t kReadAhead = 256 * 1024;

}  // namespace

std::string_view PickleBytes::at(int64_t offset, int64_t length) {
  const int64_t end = offset + length, have = int64_t(bytes_.size());
  check(offset >= 0 && length >= 0 && end <= size_, "PickleBytes: ", offset, " + ", length, " lie outside ", size_);
  if (end > have) {
    const int64_t more = std::min(size_, std::max(end, have + kReadAhead)) - have;
    bytes_.resize(size_t(have + more));
    file_->read_at(have, bytes_.data() + have, more);
  }
  return std::string_view(bytes_).substr(size_t(offset), size_t(length));
}

const char* kind_name(PickleValue::Kind kind) {
  constexpr const char* kNames[] = {"None",  "a boolean", "an integer", "a real number", "a long integer",
                                    "text",  "bytes",     "a list",     "a tuple",       "a dictionary",
                                    "a set", "an object", "a class",    "a storage",     "a tensor"};
  return kNames[size_t(kind)];
}

void PickleMachine::charge(int64_t bytes) {
  budget_ -= bytes;
  require(budget_ >= 0, "the pickle asks for more memory than its size allows; it is damaged or hostile");
}

void PickleMachine::push(Value value) {
  require(stack_.size() < kMaxStack, "more than ", kMaxStack, " values on the stack; the file is damaged or hostile");
  stack_.push_back(value);
}

PickleValue PickleMachine::pop() {
  require(stack_.size() > (marks_.empty() ? 0 : marks_.back()),
          "takes a value from an empty stack; the file is damaged");
  const Value value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleMachine::Items PickleMachine::pop_items(size_t count) {
  Items items(count);
  for (size_t i = count; i-- > 0;) items[i] = pop();
  return items;
}

PickleMachine::Items PickleMachine::pop_to_mark() {
  require(!marks_.empty(), "looks for a mark on the stack, there is none; the file is damaged");
  Items items(stack_.begin() + std::ptrdiff_t(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

PickleValue PickleMachine::value_of(Kind kind, int64_t integer, size_t index) {
  return {kind, uint32_t(index), {integer}};
}

PickleValue PickleMachine::value_of(const KnownGlobal& global) { return {Kind::kGlobal, 0, {.global = &global}}; }

PickleValue PickleMachine::new_container(Kind kind, Items items) {
  charge(64 + 32 * int64_t(items.size()));
  pickle_.containers.push_back(std::move(items));
  return value_of(kind, 0, pickle_.containers.size() - 1);
}

void PickleMachine::append_to(const Value& container, const Items& items, Kind kind) {
  require(container.kind == kind, "adds items to ", kind_name(container.kind), ", expected ", kind_name(kind),
          "; the file is damaged");
  require(kind != Kind::kDict || items.size() % 2 == 0, "a key without a value; the file is damaged");
  charge(32 * int64_t(items.size()));
  Items& to = pickle_.containers[container.index];
  to.insert(to.end(), items.begin(), items.end());
}

uint64_t PickleMachine::unsigned_number(int64_t length) {
  require(length <= bytes_.size() - at_, "the pickle ends within an opcode; the file is cut off");
  const std::string_view text = bytes_.at(at_, length);
  uint64_t number = 0;
  std::memcpy(&number, text.data(), size_t(length));
  at_ += length;
  return number;
}

PickleValue PickleMachine::string_of(Kind kind, uint64_t length) {
  require(length <= uint64_t(bytes_.size() - at_), "text or bytes of length ", length, ", but only ",
          bytes_.size() - at_, " bytes are left; the file is damaged or cut off");
  require(length <= kMaxString, "text or bytes of length ", length, ", expected at most ", kMaxString);
  at_ += int64_t(length);
  return value_of(kind, at_ - int64_t(length), length);
}

// Little-endian two's complement.
PickleValue PickleMachine::long_of(uint64_t length) {
  const Value value = string_of(Kind::kLong, length);
  if (length > 8) return value;
  const std::string_view digits = bytes_.at(value.integer, int64_t(length));
  uint64_t number = !digits.empty() && uint8_t(digits.back()) >= 128 ? ~uint64_t(0) : 0;
  std::memcpy(&number, digits.data(), digits.size());
  return value_of(Kind::kInteger, int64_t(number));
}

std::string PickleMachine::line() {
  const std::string_view rest = bytes_.at(at_, std::min(kMaxName + 1, bytes_.size() - at_));
  const size_t end = rest.find('\n');
  require(end != std::string_view::npos, "the name of a class has no end; the file is damaged");
  at_ += int64_t(end) + 1;
  return std::string(rest.substr(0, end));
}

void PickleMachine::memoize(uint64_t index, const Value& value) {
  if (index < memo_.size()) {
    memo_[size_t(index)] = value;
  } else if (index == memo_.size()) {
    charge(32);
    memo_.push_back(value);
  } else {
    charge(64);
    sparse_memo_[index] = value;
  }
}

bool PickleMachine::step_scalar(uint8_t opcode) {
  switch (opcode) {
    case NONE: push({}); return true;
    case NEWTRUE: push(value_of(Kind::kBoolean, 1)); return true;
    case NEWFALSE: push(value_of(Kind::kBoolean, 0)); return true;
    case BININT: push(value_of(Kind::kInteger, int32_t(unsigned_number(4)))); return true;
    case BININT1: push(value_of(Kind::kInteger, int64_t(unsigned_number(1)))); return true;
    case BININT2: push(value_of(Kind::kInteger, int64_t(unsigned_number(2)))); return true;
    case LONG1: push(long_of(unsigned_number(1))); return true;
    case LONG4: push(long_of(unsigned_number(4))); return true;
    case BINFLOAT:
      push({Kind::kReal, 0, {.real = std::bit_cast<double>(__builtin_bswap64(unsigned_number(8)))}});
      return true;
    case SHORT_BINUNICODE:
    case SHORT_BINSTRING: push(string_of(Kind::kText, unsigned_number(1))); return true;
    case BINUNICODE:
    case BINSTRING: push(string_of(Kind::kText, unsigned_number(4))); return true;
    case BINUNICODE8: push(string_of(Kind::kText, unsigned_number(8))); return true;
    case SHORT_BINBYTES: push(string_of(Kind::kBytes, unsigned_number(1))); return true;
    case BINBYTES: push(string_of(Kind::kBytes, unsigned_number(4))); return true;
    case BINBYTES8:
    case BYTEARRAY8: push(string_of(Kind::kBytes, unsigned_number(8))); return true;
    default: return false;
  }
}

bool PickleMachine::step_container(uint8_t opcode) {
  switch (opcode) {
    case EMPTY_LIST: push(new_container(Kind::kList, {})); return true;
    case EMPTY_TUPLE: push(new_container(Kind::kTuple, {})); return true;
    case EMPTY_DICT: push(new_container(Kind::kDict, {})); return true;
    case EMPTY_SET: push(new_container(Kind::kSet, {})); return true;
    case LIST: push(new_container(Kind::kList, pop_to_mark())); return true;
    case TUPLE: push(new_container(Kind::kTuple, pop_to_mark())); return true;
    case FROZENSET: push(new_container(Kind::kSet, pop_to_mark())); return true;
    case TUPLE1: push(new_container(Kind::kTuple, pop_items(1))); return true;
    case TUPLE2: push(new_container(Kind::kTuple, pop_items(2))); return true;
    case TUPLE3: push(new_container(Kind::kTuple, pop_items(3))); return true;
    case DICT: {
      const Value dict = new_container(Kind::kDict, {});
      append_to(dict, pop_to_mark(), Kind::kDict);
      push(dict);
      return true;
    }
    case APPEND:
    case APPENDS:
    case ADDITEMS: {
      const Items items = opcode == APPEND ? pop_items(1) : pop_to_mark();
      const Value to = pop();
      append_to(to, items, opcode == ADDITEMS ? Kind::kSet : Kind::kList);
      push(to);
      return true;
    }
    case SETITEM:
    case SETITEMS: {
      const Items items = opcode == SETITEM ? pop_items(2) : pop_to_mark();
      const Value to = pop();
      append_to(to, items, Kind::kDict);
      push(to);
      return true;
    }
    default: return false;
  }
}

bool PickleMachine::step_memo(uint8_t opcode) {
  const auto top = [&] {
    const Value value = pop();
    push(value);
    return value;
  };
  switch (opcode) {
    case BINPUT: memoize(unsigned_number(1), top()); return true;
    case LONG_BINPUT: memoize(unsigned_number(4), top()); return true;
    case MEMOIZE: memoize(memo_.size() + sparse_memo_.size(), top()); return true;
    case BINGET:
    case LONG_BINGET: {
      const uint64_t index = unsigned_number(opcode == BINGET ? 1 : 4);
      const auto sparse = sparse_memo_.find(index);
      require(index < memo_.size() || sparse != sparse_memo_.end(), "recalls memo ", index,
              ", which was never set; the file is damaged");
      push(index < memo_.size() ? memo_[size_t(index)] : sparse->second);
      return true;
    }
    default: return false;
  }
}

void PickleMachine::refuse_opcode(uint8_t opcode) const {
  for (const RefusedOpcode& refused : kRefused)
    if (refused.opcode == opcode)
      fail("opcode ", refused.name,
           " has no place in PyTorch's files; it is refused, as it could run code or the file is damaged");
  fail("opcode ", int(opcode), " does not exist; the file is damaged");
}

void PickleMachine::step(uint8_t opcode) {
  if (step_scalar(opcode) || step_container(opcode) || step_memo(opcode)) return;
  switch (opcode) {
    case MARK:
      require(marks_.size() < kMaxStack / 16, "more than ", kMaxStack / 16, " marks; the file is damaged or hostile");
      marks_.push_back(stack_.size());
      return;
    case POP: pop(); return;
    case POP_MARK: pop_to_mark(); return;
    case DUP: {
      const Value value = pop();
      push(value);
      push(value);
      return;
    }
    case FRAME: {
      const uint64_t length = unsigned_number(8);
      require(length <= uint64_t(bytes_.size() - at_), "a frame of ", length, " bytes, but only ", bytes_.size() - at_,
              " are left; the file is damaged or cut off");
      return;
    }
    case GLOBAL:
    case STACK_GLOBAL: {
      std::string module, name;
      if (opcode == GLOBAL) {
        module = line();
        name = line();
      } else {
        const Items pair = pop_items(2);
        module = short_text(pair[0], "the module of a class");
        name = short_text(pair[1], "the name of a class");
      }
      push(value_of(known_global(module, name, concat_message(where_, ": byte ", opcode_at_))));
      return;
    }
    case REDUCE:
    case NEWOBJ: reduce(); return;
    case BUILD: build(); return;
    case BINPERSID: persistent_id(); return;
    default: refuse_opcode(opcode);
  }
}

Pickle PickleMachine::run() {
  opcode_at_ = at_;
  require(unsigned_number(1) == PROTO, "expected a pickle of protocol 2 to 5, which starts with byte 128");
  pickle_.protocol = int64_t(unsigned_number(1));
  require(pickle_.protocol >= 2 && pickle_.protocol <= 5, "pickle protocol ", pickle_.protocol, ", expected 2 to 5");
  while (true) {
    opcode_at_ = at_;
    require(at_ < bytes_.size(), "the pickle ends without STOP; the file is cut off");
    const uint8_t opcode = uint8_t(unsigned_number(1));
    if (opcode == STOP) break;
    step(opcode);
  }
  require(stack_.size() == 1 && marks_.empty(), "the pickle leaves ", stack_.size(),
          " values, expected one; the file is damaged");
  pickle_.root = stack_[0];
  pickle_.end = at_;
  return std::move(pickle_);
}

Pickle read_pickle(PickleBytes& bytes, int64_t begin, const std::string& where) {
  return PickleMachine(bytes, begin, where).run();
}

}  // namespace echodiff
