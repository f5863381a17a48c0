#include "tensor/io/json_fields.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "kernels/error.h"

namespace echodiff {
namespace {

constexpr int kDeepest = 8;  // nothing here nests deeper, and copying a JSON value recurses

// How a message shows what was found.
std::string shown(const nlohmann::json& value) { return value.is_number() ? value.dump() : value.type_name(); }

// The library keeps the last of duplicate keys silently: watch them go by.
nlohmann::json parse_strict(const std::string& text, const std::string& place) {
  std::vector<std::set<std::string>> open_objects;
  std::string duplicate;
  const nlohmann::json::parser_callback_t watch = [&](int depth, nlohmann::json::parse_event_t event,
                                                      nlohmann::json& parsed) {
    check_input(depth <= kDeepest, Fault::kBadInput, place, ": nested deeper than ", kDeepest, " levels");
    if (event == nlohmann::json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == nlohmann::json::parse_event_t::object_end) open_objects.pop_back();
    if (event == nlohmann::json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second)
      duplicate = parsed.get<std::string>();
    return true;
  };
  try {
    nlohmann::json value = nlohmann::json::parse(text, watch);
    check_input(duplicate.empty(), Fault::kBadInput, place, ": key \"", duplicate, "\" is there twice");
    return value;
  } catch (const nlohmann::json::exception& error) {
    throw Error(Fault::kBadInput, concat_message(place, ": not valid JSON: ", error.what()));
  }
}

}  // namespace

JsonFields::JsonFields(const std::string& text, const std::string& place)
    : JsonFields(parse_strict(text, place), place) {}

JsonFields::JsonFields(nlohmann::json object, const std::string& place) : object_(std::move(object)), place_(place) {
  check_input(object_.is_object(), Fault::kBadInput, place_, ": expected a JSON object, found ", object_.type_name());
}

bool JsonFields::has(const std::string& key) const { return object_.contains(key); }

const nlohmann::json& JsonFields::take(const std::string& key, const char* expected) {
  check_input(has(key), Fault::kBadInput, place_, ": key \"", key, "\" is missing (", expected, ")");
  taken_.push_back(key);
  return object_.at(key);
}

double JsonFields::number(const std::string& key) {
  const nlohmann::json& value = take(key, "a number");
  check_input(value.is_number() && std::isfinite(value.get<double>()), Fault::kBadInput, place_, ": ", key,
              ": expected a finite number, found ", shown(value));
  return value.get<double>();
}

int64_t JsonFields::count(const std::string& key) {
  const nlohmann::json& value = take(key, "an integer >= 0");
  check_input(value.is_number_integer() && value.get<int64_t>() >= 0, Fault::kBadInput, place_, ": ", key,
              ": expected an integer >= 0, found ", shown(value));
  return value.get<int64_t>();
}

std::string JsonFields::text(const std::string& key) {
  const nlohmann::json& value = take(key, "a string");
  check_input(value.is_string(), Fault::kBadInput, place_, ": ", key, ": expected a string, found ", value.type_name());
  return value.get<std::string>();
}

std::string JsonFields::text_or(const std::string& key, const std::string& fallback) {
  return has(key) ? text(key) : fallback;
}

JsonFields JsonFields::object(const std::string& key) { return {take(key, "an object"), place_ + ": " + key}; }

std::vector<JsonFields> JsonFields::objects(const std::string& key) {
  const nlohmann::json& list = take(key, "an array of objects");
  check_input(list.is_array(), Fault::kBadInput, place_, ": ", key, ": expected an array, found ", list.type_name());
  std::vector<JsonFields> fields;
  for (const nlohmann::json& element : list)
    fields.emplace_back(element, concat_message(place_, ": ", key, "[", fields.size(), "]"));
  return fields;
}

void JsonFields::done() const {
  for (const auto& [key, value] : object_.items())
    check_input(std::find(taken_.begin(), taken_.end(), key) != taken_.end(), Fault::kBadInput, place_,
                ": unknown key \"", key, "\"");
}

}  // namespace echodiff
