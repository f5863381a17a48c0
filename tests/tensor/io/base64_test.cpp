#include "tensor/io/base64.h"

#include <gtest/gtest.h>

namespace echodiff {
namespace {

TEST(Base64, EndsOfEveryLength) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("M"), "TQ==");
  EXPECT_EQ(base64("Ma"), "TWE=");
  EXPECT_EQ(base64("Man"), "TWFu");
  EXPECT_EQ(base64("Man\xff"), "TWFu/w==");
}

}  // namespace
}  // namespace echodiff
