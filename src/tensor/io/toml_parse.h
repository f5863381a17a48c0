// The one door to toml++'s parser. Its header takes long to compile: include this where a table is walked.
#pragma once

#include <stdexcept>
#include <string>

namespace echodiff {

// Of a claim of the library's own parser ("the key begins with a letter") that a file has broken ("[ = a]").
struct TomlClaimBroken : std::logic_error {
  using std::logic_error::logic_error;
};
[[noreturn]] inline void toml_claim_broken(const char* claim) { throw TomlClaimBroken(claim); }

}  // namespace echodiff

// The library checks its claims with assert, and builds on them with NDEBUG: a stranger's file would end the program.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(claim) ((claim) ? void() : ::echodiff::toml_claim_broken(#claim))
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include "kernels/error.h"

namespace echodiff {

// Throws Error(fault), "path:line:column: why", for what is not TOML, is not UTF-8, or is larger than 1 MiB.
toml::table parse_toml(std::string text, const std::string& path, Fault fault);

}  // namespace echodiff
