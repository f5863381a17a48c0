// Version and source revision, in a file of their own: a new revision recompiles only this. The build defines both.
#include "cli/cli.h"

#ifndef ECHODIFF_VERSION
#define ECHODIFF_VERSION "0.1.0"
#endif
#ifndef ECHODIFF_REVISION
#define ECHODIFF_REVISION "unknown"
#endif

namespace echodiff {

std::string version_string() { return ECHODIFF_VERSION; }
std::string source_revision() { return ECHODIFF_REVISION; }

}  // namespace echodiff
