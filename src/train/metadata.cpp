#include "train/metadata.h"

#include <cmath>

#include "tensor/io/text.h"

namespace echodiff {

const std::string& MetadataReader::text(const std::string& key) const {
  const Metadata::const_iterator found = metadata_.find(key);
  check_input(found != metadata_.end(), Fault::kBadInput, path_, ": its metadata has no '", key, "'; ", advice_);
  return found->second;
}

void MetadataReader::refuse(const std::string& key, const std::string& expected) const {
  throw Error(Fault::kBadInput,
              concat_message(path_, ": metadata: ", key, ": expected ", expected, ", found ", in_quotes(text(key))));
}

bool MetadataReader::flag(const std::string& key) const {
  if (text(key) != "true" && text(key) != "false") refuse(key, "true or false");
  return text(key) == "true";
}

double MetadataReader::real(const std::string& key) const {
  const std::optional<double> value = parse_number<double>(text(key));
  if (!value || !std::isfinite(*value)) refuse(key, "a finite number");
  return *value;
}

int64_t MetadataReader::integer(const std::string& key, int64_t low, int64_t high) const {
  const std::optional<int64_t> value = parse_number<int64_t>(text(key));
  if (!value || *value < low || *value > high) refuse(key, concat_message("a whole number in ", low, "..", high));
  return *value;
}

std::vector<int64_t> MetadataReader::integers(const std::string& key) const {
  try {
    return parse_integers(text(key), key);
  } catch (const Error&) {
    refuse(key, "positive whole numbers like 1,2,4");
  }
}

std::string differences(const Metadata& before, const Metadata& now) {
  const auto value = [](const Metadata& of, const std::string& key) {
    const Metadata::const_iterator found = of.find(key);
    return found == of.end() ? "nothing" : found->second.empty() ? "\"\"" : found->second;
  };
  Metadata all = before;
  all.insert(now.begin(), now.end());
  std::vector<std::string> differing;
  for (const auto& [key, ignored] : all)
    if (value(before, key) != value(now, key))
      differing.push_back(concat_message(key, ": ", value(before, key), " before, ", value(now, key), " now"));
  return join(differing, "; ");
}

}  // namespace echodiff
