// A streaming writer of indented JSON: the report's numbers go out in the order in which the page shows them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace echodiff {

// Numbers are written with the fewest digits that read back as the same double; NaN and infinity become null.
class JsonWriter {
 public:
  JsonWriter() { open('{'); }

  // Inside an object every value takes a key; inside an array the key is left empty.
  JsonWriter& begin_object(std::string_view key = {});
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array(std::string_view key = {});
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& number(std::string_view key, double value);
  JsonWriter& count(std::string_view key, int64_t value);
  JsonWriter& text(std::string_view key, std::string_view value);
  JsonWriter& flag(std::string_view key, bool value);

  // Closes what is open and returns the document.
  std::string finish();

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void start_value(std::string_view key);

  std::string out_;
  std::vector<char> brackets_;  // the open ones
  bool first_ = true;           // nothing written yet in the innermost one
};

// `text` as a JSON string, quotes included. Bytes are taken as UTF-8 and passed through.
std::string json_string(std::string_view text);

}  // namespace echodiff
