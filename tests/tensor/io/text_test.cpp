#include "tensor/io/text.h"

#include <gtest/gtest.h>

#include "kernels/error.h"

namespace echodiff {
namespace {

using Texts = std::vector<std::string>;

TEST(Text, ListsAndNumbers) {
  EXPECT_EQ(split(""), Texts());
  EXPECT_EQ(split("a"), Texts{"a"});
  EXPECT_EQ(split("a,,b,"), (Texts{"a", "", "b", ""}));
  EXPECT_EQ(split("a\nb", '\n'), (Texts{"a", "b"}));
  EXPECT_EQ(join(Texts{"a", "b"}, ", "), "a, b");
  EXPECT_EQ(join(std::vector<int64_t>{1, -2}), "1,-2");
  EXPECT_EQ(parse_number<int>("-12"), -12);
  EXPECT_EQ(parse_number<double>("1e-3"), 1e-3);
  for (const char* text : {"", " 1", "1 ", "1x", "99999999999"}) EXPECT_FALSE(parse_number<int>(text)) << text;
  EXPECT_EQ(number_text(0.1), "0.1");
  EXPECT_EQ(parse_integers("1,2,4", "mults"), (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(parse_integers("", "mults"), std::vector<int64_t>());
  for (const char* text : {"1,0", "1,", "a", "1.5"}) EXPECT_THROW(parse_integers(text, "mults"), Error) << text;
  EXPECT_EQ(parse_numbers("0.1, 2 ,3e2", "rungs"), (std::vector<double>{0.1, 2, 300}));
  for (const char* text : {"1,", " ", "nan", "1 2"}) EXPECT_THROW(parse_numbers(text, "rungs"), Error) << text;
}

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "ab"), 2u);
}

TEST(Base64, EndsOfEveryLength) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("M"), "TQ==");
  EXPECT_EQ(base64("Ma"), "TWE=");
  EXPECT_EQ(base64("Man"), "TWFu");
  EXPECT_EQ(base64("Man\xff"), "TWFu/w==");
}

}  // namespace
}  // namespace echodiff
