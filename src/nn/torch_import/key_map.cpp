#include "nn/torch_import/key_map.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <sstream>

#include "tensor/io/text.h"
#include "tensor/ops.h"

namespace echodiff {
namespace {

// What each mark of the pattern matched, in order.
using Captures = std::vector<std::string_view>;

bool match(std::string_view pattern, std::string_view text, Captures* captures);

// `head` characters of the text belong to the mark; the rest must match the rest.
bool match_rest(std::string_view pattern, std::string_view text, size_t head, Captures* captures) {
  captures->push_back(text.substr(0, head));
  if (match(pattern, text.substr(head), captures)) return true;
  captures->pop_back();
  return false;
}

bool match(std::string_view pattern, std::string_view text, Captures* captures) {
  if (pattern.empty()) return text.empty();
  if (pattern.starts_with("**")) {
    for (size_t n = text.size() + 1; n-- > 0;)
      if (match_rest(pattern.substr(2), text, n, captures)) return true;
    return false;
  }
  if (pattern[0] == '*' || pattern[0] == '#') {
    const bool number = pattern[0] == '#';
    size_t most = 0;
    while (most < text.size() && (number ? std::isdigit(uint8_t(text[most])) != 0 : text[most] != '.')) ++most;
    for (size_t n = most + 1; n-- > (number ? 1u : 0u);)
      if (match_rest(pattern.substr(1), text, n, captures)) return true;
    return false;
  }
  if (pattern[0] == '{') {
    const size_t end = pattern.find('}');
    std::string_view choices = pattern.substr(1, end - 1);
    while (true) {
      const size_t comma = choices.find(',');
      for (size_t n = text.size() + 1; n-- > 0;)
        if (matches(choices.substr(0, comma), text.substr(0, n)) &&
            match_rest(pattern.substr(end + 1), text, n, captures))
          return true;
      if (comma == std::string_view::npos) return false;
      choices.remove_prefix(comma + 1);
    }
  }
  return !text.empty() && text[0] == pattern[0] && match(pattern.substr(1), text.substr(1), captures);
}

std::string filled(std::string_view pattern, const Captures& captures) {
  std::string out;
  size_t next = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '#' && c != '*' && c != '{') {
      out += c;
      continue;
    }
    if (c == '{') i = pattern.find('}', i);
    if (c == '*' && pattern.substr(i).starts_with("**")) ++i;
    out += captures.at(next++);
  }
  return out;
}

std::optional<std::string> renamed(const KeyMap& map, const std::string& name) {
  for (const KeyRow& row : map.rows) {
    Captures captures;
    if (match(row.theirs, name, &captures)) return row.ours[0] == '\0' ? name : filled(row.ours, captures);
  }
  return std::nullopt;
}

// Without sizes of 1 at the end.
std::vector<int64_t> essential(const Shape& shape) {
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < shape.rank(); ++i) sizes.push_back(shape[i]);
  while (!sizes.empty() && sizes.back() == 1) sizes.pop_back();
  return sizes;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view name) {
  Captures captures;
  return match(pattern, name, &captures);
}

std::string nearest_name(const std::string& name, const std::vector<std::string>& names) {
  const auto distance = [&](const std::string& other) { return edit_distance(name, other); };
  const auto best = std::ranges::min_element(names, {}, distance);
  return best == names.end() ? "" : *best;
}

FittedWeights fit_weights(const KeyMap& map, const StateDict& source, const StateDict& network,
                          const std::string& where, const std::set<std::string>& beside) {
  FittedWeights fitted;
  std::map<std::string, const Tensor*> own;
  std::vector<std::string> known;
  for (const NamedTensor& entry : network) {
    own[entry.name] = &entry.tensor;
    known.push_back(entry.name);
  }
  std::map<std::string, Tensor> given;
  std::ostringstream unknown, twice, misshapen, unfilled;
  for (const NamedTensor& entry : source) {
    if (std::ranges::any_of(map.ignored, [&](const char* pattern) { return matches(pattern, entry.name); })) {
      fitted.ignored.push_back(entry.name);
      continue;
    }
    const std::string target = renamed(map, entry.name).value_or("");
    const auto found = own.find(target);
    if (found == own.end() && beside.contains(entry.name)) {
      fitted.left_out.push_back(entry.name);
    } else if (found == own.end()) {
      unknown << ", " << entry.name << " " << entry.tensor.shape() << " (nearest: " << nearest_name(entry.name, known)
              << ")";
    } else if (given.contains(target)) {
      twice << ", " << target;
    } else if (essential(entry.tensor.shape()) != essential(found->second->shape())) {
      misshapen << ", " << entry.name << " is " << entry.tensor.shape() << ", expected " << found->second->shape();
      given[target] = *found->second;
    } else {
      const Tensor values = entry.tensor.to(found->second->dtype());
      given[target] = values.shape() == found->second->shape() ? values : reshape(values, found->second->shape());
    }
  }
  for (const std::string& name : known) {
    const auto found = given.find(name);
    if (found != given.end()) {
      fitted.weights.push_back({name, found->second});
    } else if (name.ends_with("num_batches_tracked")) {
      fitted.weights.push_back({name, own[name]->clone()});
      fitted.missing.push_back(name);
    } else {
      unfilled << ", " << name;
    }
  }
  std::string problems;
  const auto add = [&](const char* what, const std::ostringstream& list) {
    if (!list.str().empty()) problems += concat_message("; ", what, ": ", list.str().substr(2));
  };
  add("unknown", unknown);
  add("given twice", twice);
  add("misshapen", misshapen);
  add("not in the file", unfilled);
  check_input(problems.empty(), Fault::kBadInput, where, ": does not fit ", map.name, problems);
  return fitted;
}

}  // namespace echodiff
