#include "tensor/io/paths.h"

#include <gtest/gtest.h>

namespace echodiff {
namespace {

TEST(Paths, TheLastNameStandsBeforeASlashToo) {
  for (const char* path : {"a", "a/", "runs/a", "runs/a/", "/runs/b/../a//", "./a/."}) EXPECT_EQ(last_part(path), "a");
  for (const char* path : {"", ".", "/"}) EXPECT_EQ(last_part(path), path);
}

}  // namespace
}  // namespace echodiff
