// What the bytes of a pickle stand for: used by pickle.cpp.
#pragma once

#include <cstdint>

namespace echodiff {

// Opcodes, by the names of CPython's pickletools.
enum Opcode : uint8_t {
  MARK = '(',
  POP = '0',
  POP_MARK = '1',
  DUP = '2',
  STOP = '.',
  NONE = 'N',
  BINFLOAT = 'G',
  BININT = 'J',
  BININT1 = 'K',
  BININT2 = 'M',
  BINSTRING = 'T',
  SHORT_BINSTRING = 'U',
  BINUNICODE = 'X',
  BINBYTES = 'B',
  SHORT_BINBYTES = 'C',
  BINPERSID = 'Q',
  REDUCE = 'R',
  BUILD = 'b',
  GLOBAL = 'c',
  APPEND = 'a',
  APPENDS = 'e',
  LIST = 'l',
  EMPTY_LIST = ']',
  TUPLE = 't',
  EMPTY_TUPLE = ')',
  DICT = 'd',
  EMPTY_DICT = '}',
  SETITEM = 's',
  SETITEMS = 'u',
  BINGET = 'h',
  LONG_BINGET = 'j',
  BINPUT = 'q',
  LONG_BINPUT = 'r',
  PROTO = 0x80,
  NEWOBJ = 0x81,
  TUPLE1 = 0x85,
  TUPLE2 = 0x86,
  TUPLE3 = 0x87,
  NEWTRUE = 0x88,
  NEWFALSE = 0x89,
  LONG1 = 0x8A,
  LONG4 = 0x8B,
  SHORT_BINUNICODE = 0x8C,
  BINUNICODE8 = 0x8D,
  BINBYTES8 = 0x8E,
  EMPTY_SET = 0x8F,
  ADDITEMS = 0x90,
  FROZENSET = 0x91,
  STACK_GLOBAL = 0x93,
  MEMOIZE = 0x94,
  FRAME = 0x95,
  BYTEARRAY8 = 0x96,
};

struct RefusedOpcode {
  uint8_t opcode;
  const char* name;
};
// They could run code, or belong to protocols 0 and 1.
constexpr RefusedOpcode kRefused[] = {{'i', "INST"},
                                      {'o', "OBJ"},
                                      {'P', "PERSID"},
                                      {0x82, "EXT1"},
                                      {0x83, "EXT2"},
                                      {0x84, "EXT4"},
                                      {0x92, "NEWOBJ_EX"},
                                      {0x97, "NEXT_BUFFER"},
                                      {0x98, "READONLY_BUFFER"},
                                      {'F', "FLOAT"},
                                      {'I', "INT"},
                                      {'L', "LONG"},
                                      {'S', "STRING"},
                                      {'V', "UNICODE"},
                                      {'g', "GET"},
                                      {'p', "PUT"},
                                      {0x80, "PROTO, a second time"}};

}  // namespace echodiff
