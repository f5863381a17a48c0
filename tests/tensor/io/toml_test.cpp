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
}

}  // namespace
}  // namespace echodiff
