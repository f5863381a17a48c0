// TOML by the library: whatever a text holds comes back, and hostile files are refused in a line.
#include "tensor/io/toml.h"

#include <gtest/gtest.h>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

std::string refusal(const std::string& text) {
  try {
    parse_flat_toml(text, "F");
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput);
    return error.what();
  }
  return "accepted";
}

TEST(Toml, EveryTextComesBack) {
  for (const std::string& text :
       std::vector<std::string>{"", "plain", "a\"\nlr = 9", "back\\slash", "'''\"\"\"", "tab\tcr\r", "\x1b[31m\x7f",
                                std::string("nul\0here", 8), "r\xC3\xB6ntgen \xC2\x9B", "a = 1 # b"}) {
    const std::string file = toml_text_line("key", text) + toml_text_line("odd key\n[x]", text) + "last = 1\n";
    const std::map<std::string, std::string> flat = parse_flat_toml(file, "F");
    EXPECT_EQ(flat.size(), 3u) << file;
    EXPECT_EQ(flat.at("key"), text);
    EXPECT_EQ(flat.at("odd key\n[x]"), text);
  }
  EXPECT_EQ(toml_line("a-b_1", toml_array({"1", toml_string("x")})), "a-b_1 = [1, \"x\"]\n");
  EXPECT_THROW(toml_string("\xFF"), Error);
}

TEST(Toml, HostileFilesAreRefused) {
  EXPECT_TRUE(parse_flat_toml("\xEF\xBB\xBF", "F").empty());  // toml++ 3.3 reads beyond the end of this one
  EXPECT_EQ(parse_flat_toml("\xEF\xBB\xBF"
                            "a = 1",
                            "F")
                .at("a"),
            "1");
  EXPECT_NE(refusal("\xEF\xBB").find("F:1: expected text in UTF-8"), std::string::npos);
  EXPECT_NE(refusal("a = 1\nb = \"\xC3\x28\"").find("F:2: expected text in UTF-8"), std::string::npos);
  std::string deep = "a";
  for (int i = 0; i < 100000; ++i) deep += ".a";
  EXPECT_NE(refusal(deep + " = 1").find("dots"), std::string::npos);
  EXPECT_NE(refusal("[" + deep + "]").find("dots"), std::string::npos);
  EXPECT_NE(refusal("a = " + std::string(100000, '[')), "accepted");
  EXPECT_NE(refusal("a = \"" + std::string(2 << 20, 'x') + "\"").find("at most"), std::string::npos);
  EXPECT_NE(refusal("a = 1\na = 2"), "accepted");
  EXPECT_NE(refusal("[ = a]").find("gives up"), std::string::npos);  // toml++ 3.3 aborts at this
}

// Some letters beyond ASCII toml++ 3.3 takes for unreachable, in a string as well as outside.
TEST(Toml, LettersBeyondAsciiStandInStringsAndComments) {
  for (const char* text : {"\xEF\xB8\xB8", "a = 1\n\xC3\xA4 = 2", "a = 2'\xD2\x80", "a = '''x'''' \xC3\xA4",
                           "a = \"\\\"\" \xE2\x80\x84", "a = '\xC3\xA4", "a = '''\xC3\xA4''", "a = \"\\\xC3\xA4\""})
    EXPECT_NE(refusal(text).find("beyond ASCII"), std::string::npos) << text;
  EXPECT_NE(refusal("f = [1.5h='\xEF\xB9\xBF'"), "accepted");
  EXPECT_EQ(parse_flat_toml("a = 'C:\\\"\xC3\xA4\"'", "F").at("a"), "C:\\\"\xC3\xA4\"");
  EXPECT_EQ(parse_flat_toml("a = '''\n\\\xC3\xA4\"\n'''''", "F").at("a"), "\\\xC3\xA4\"\n''");
  EXPECT_EQ(parse_flat_toml("a = \"\\\"\xC3\xA4\\\\\" # \xC3\xA4\n", "F").at("a"), "\"\xC3\xA4\\");
  EXPECT_EQ(parse_flat_toml("a = \"\"\"\"\xC3\xA4\\\n \xEF\xB8\xB8\"\"\"\"\"", "F").at("a"),
            "\"\xC3\xA4\xEF\xB8\xB8\"\"");
  EXPECT_EQ(parse_flat_toml("\"\xC3\xA4\" = [\"\xF0\x9F\x98\x80\", # \xC3\xA4\n \"b\"]", "F").at("\xC3\xA4"),
            "\xF0\x9F\x98\x80,b");
}

}  // namespace
}  // namespace echodiff
