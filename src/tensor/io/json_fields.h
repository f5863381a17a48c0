// Strict reading of one JSON object: every key once and known, every number finite. For .cpp files only: it brings in
// the JSON library.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace echodiff {

// A JSON object whose keys are taken one by one. Errors are Error(kBadInput), "PLACE: key: what was expected, ...".
class JsonFields {
 public:
  // `place` is "file" or "file:line". Throws for malformed JSON, a key that is there twice, anything but an object.
  JsonFields(const std::string& text, const std::string& place);
  JsonFields(nlohmann::json object, const std::string& place);

  bool has(const std::string& key) const;
  double number(const std::string& key);  // finite
  int64_t count(const std::string& key);  // an integer >= 0
  std::string text(const std::string& key);
  std::string text_or(const std::string& key, const std::string& fallback);
  JsonFields object(const std::string& key);
  std::vector<JsonFields> objects(const std::string& key);  // an array of objects
  // Throws when a key was never taken: a typo would otherwise pass silently.
  void done() const;
  const std::string& place() const { return place_; }

 private:
  const nlohmann::json& take(const std::string& key, const char* expected);

  nlohmann::json object_;
  std::string place_;
  std::vector<std::string> taken_;
};

}  // namespace echodiff
