// dweights inspect, convert, diff: what files hold, whatever it means.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <sstream>

#include "dweights/dweights.h"
#include "nn/torch_import/parity.h"
#include "nn/torch_import/weights_file.h"
#include "tensor/io/text.h"
#include "tensor/observe.h"
#include "train/checkpoint.h"

namespace echodiff {
namespace {

// Our own checkpoints carry hashes, and are held to them.
WeightsFile read_and_verify(const std::string& path) {
  WeightsFile file = read_weights_file(path);
  if (file.kind == "safetensors" && carries_seal(file.metadata)) {
    file.metadata = read_weights(path).metadata;
    file.facts.push_back("sealed: every tensor matches its hash");
  }
  return file;
}

std::string kind_in_words(const WeightsFile& file) {
  if (file.kind == "zip") return "PyTorch zip file";
  if (file.kind == "legacy") return "PyTorch legacy file";
  return file.kind == "sharded" ? "sharded safetensors" : "safetensors file";
}

std::string shown(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

void print_columns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (i == widths.size()) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].size());
    }
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i)
      line += row[i] + (i + 1 < row.size() ? std::string(widths[i] - row[i].size() + 2, ' ') : "");
    std::cout << line << "\n";
  }
}

void print_leaves(const WeightsFile& file, const std::string& title) {
  if (file.leaves.empty()) return;
  constexpr size_t kLongest = 80;
  std::cout << title << " (" << file.leaves.size() << "):\n";
  for (const SourceLeaf& leaf : file.leaves) {
    const bool text = leaf.kind == SourceLeaf::Kind::kText;
    const std::string value = leaf.text.size() > kLongest ? leaf.text.substr(0, kLongest) + "..." : leaf.text;
    std::cout << "  " << printable(leaf.name) << " = " << (text ? in_quotes(value) : value) << "\n";
  }
}

int inspect(const std::string& path) {
  WeightsFile file = read_and_verify(path);
  int64_t elements = 0;
  std::vector<std::vector<std::string>> rows{{"name", "shape", "dtype", "min", "max", "mean"}};
  for (const SourceTensor& tensor : file.tensors) {
    const TensorStatistics statistics = statistics_of(tensor.values);
    elements += tensor.values.count();
    const bool any = tensor.values.count() > statistics.not_finite;
    std::ostringstream shape;
    shape << tensor.shape();
    rows.push_back({printable(tensor.name), shape.str(), tensor.dtype, any ? shown(statistics.min) : "-",
                    any ? shown(statistics.max) : "-", any ? shown(statistics.mean) : "-"});
    if (statistics.not_finite > 0)
      file.warnings.push_back(
          concat_message(printable(tensor.name), " holds ", statistics.not_finite, " NaN or infinite elements"));
  }
  std::cout << printable(file.path) << ": " << kind_in_words(file) << ", " << file.tensors.size() << " tensors, "
            << elements << " elements\n";
  for (const std::string& fact : file.facts) std::cout << "  " << printable(fact) << "\n";
  for (const auto& [key, value] : file.metadata)
    std::cout << "  metadata " << printable(key) << " = " << in_quotes(value) << "\n";
  print_columns(rows);
  print_leaves(file, "not tensors");
  for (const std::string& warning : file.warnings) std::cout << "warning: " << printable(warning) << "\n";
  return 0;
}

int convert(const std::string& path, const std::string& out) {
  const WeightsFile file = read_and_verify(path);
  std::vector<NamedTensor> tensors;
  std::vector<StoredType> types;
  for (const SourceTensor& tensor : file.tensors) {
    check_input(tensor.name != "__metadata__", Fault::kBadInput, path,
                ": a tensor is called \"__metadata__\", which safetensors keeps for itself; rename it and save again");
    tensors.push_back({tensor.name, tensor.values});
    types.push_back(*stored_type_of_torch(tensor.dtype));
  }
  write_safetensors(out, tensors, types, file.metadata);
  std::cout << tensors.size() << " tensors in " << printable(out) << "\n";
  print_leaves(file, "left out, not tensors");
  return 0;
}

int diff(const std::string& path, const std::string& other) {
  const WeightsFile a = read_and_verify(path), b = read_and_verify(other);
  std::map<std::string, const SourceTensor*> of_b;
  for (const SourceTensor& tensor : b.tensors) of_b[tensor.name] = &tensor;
  std::vector<std::vector<std::string>> rows;
  int64_t equal = 0;
  for (const SourceTensor& tensor : a.tensors) {
    const auto found = of_b.find(tensor.name);
    if (found == of_b.end()) {
      rows.push_back({printable(tensor.name), "only in " + printable(path)});
      continue;
    }
    const SourceTensor& twin = *found->second;
    of_b.erase(found);
    if (twin.shape() != tensor.shape()) {
      rows.push_back({printable(tensor.name), concat_message("shape ", tensor.shape(), " and ", twin.shape())});
      continue;
    }
    const TensorDifference difference = difference_of(tensor.values, twin.values);
    const std::string dtypes = tensor.dtype == twin.dtype ? "" : tensor.dtype + " and " + twin.dtype;
    if (difference.different == 0 && dtypes.empty()) {
      ++equal;
      continue;
    }
    rows.push_back({printable(tensor.name), concat_message(difference.different, " of ", tensor.values.count()),
                    "absolute " + shown(difference.absolute), "relative " + shown(difference.relative), dtypes});
  }
  for (const SourceTensor& tensor : b.tensors)
    if (of_b.contains(tensor.name)) rows.push_back({printable(tensor.name), "only in " + printable(other)});
  print_columns(rows);
  std::cout << equal << " tensors are equal, " << rows.size() << " differ\n";
  return rows.empty() ? 0 : 1;
}

}  // namespace

void FileCommands::declare(Options& root) {
  Options& look = root.subcommand("inspect", "Lists a file's tensors; exit code 0: it can be read in full.",
                                  "dweights inspect checkpoint.pt");
  look.add_positional("file", file, ".pt .pth .ckpt .bin .safetensors, an index of shards, or the folder of one")
      .required();
  look.body([this](const Common&) { return inspect(file); });

  Options& change = root.subcommand("convert", "Writes every tensor as it is, nested names joined by '.'.",
                                    "dweights convert checkpoint.pt --out checkpoint.safetensors");
  change.add_positional("file", file, "file to read, as for inspect").required();
  change.add("--out", out, "safetensors file to write", "FILE").required();
  change.body([this](const Common&) { return convert(file, out); });

  Options& compare = root.subcommand("diff", "Compares two files' tensors by name; exit code 1 when they differ.",
                                     "dweights diff before.pt after.safetensors");
  compare.add_positional("file", file, "file to read, as for inspect").required();
  compare.add_positional("other", other, "file to compare it with").required();
  compare.body([this](const Common&) { return diff(file, other); });
}

}  // namespace echodiff
