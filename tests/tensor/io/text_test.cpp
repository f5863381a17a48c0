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

TEST(Text, PrintableIsOneLineThatATerminalOnlyShows) {
  EXPECT_EQ(printable("plain \"text\" \xC3\xA9 \xF0\x9F\x98\x80"), "plain \"text\" \xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_EQ(printable("a\nb\tc\r"), "a\\nb\\tc\\r");
  EXPECT_EQ(printable(std::string("\x1b[2J\0\x7f", 6)), "\\x1b[2J\\x00\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\u009b31m");  // a control sequence in one letter
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "gnp.exe"),
            "\\u202egnp.exe");                                                // turns the writing around
  EXPECT_EQ(printable("\xFF\xC3"), "\\xff\\xc3");                             // no UTF-8, cut short
  EXPECT_EQ(printable("\xC0\x8A\xED\xA0\x80"), "\\xc0\\x8a\\xed\\xa0\\x80");  // overlong, a surrogate
  EXPECT_TRUE(is_utf8("a\xF4\x8F\xBF\xBF") && !is_utf8("\xF4\x90\x80\x80") && !is_utf8("\xE2\x82"));
}

TEST(Text, NamesOfPlanesFitIntoLists) {
  EXPECT_NO_THROW(check_name("portal vein \"1\"", Fault::kBadInput, "F", "plane"));
  for (const std::string& name : Texts{"", "a,b", "a=1", "a\nlr", std::string("a\0", 2), "\xFF", "\x1b[31m"})
    EXPECT_THROW(check_name(name, Fault::kBadInput, "F", "plane"), Error) << name;
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
