#include "train/checkpoint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "tensor/io/file.h"
#include "train/checkpoint_names.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSeal = "xxh3";              // metadata key of the header's hash
constexpr const char* kPerTensor = "xxh3/";        // + the tensor's name
constexpr const char* kFirstSave = ".first-save";  // there while a run's first checkpoint has no `latest` yet
const std::string kZeros(16, '0');
const std::string kDamaged =
    "; the file is damaged: restore it from a copy, or name an older one in checkpoints/latest";

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

size_t header_end(const std::string& bytes) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return 8 + size_t(length);
}

// Of the tensor's row-major bytes, as a file stores them.
std::string tensor_hash(const Tensor& tensor) {
  const std::string bytes = encode_safetensors({{"tensor", tensor}}, {});
  const size_t begin = header_end(bytes);
  return hex(XXH3_64bits(bytes.data() + begin, bytes.size() - begin));
}

// Where the header's own hash stands in the file; npos if it has none.
size_t seal_position(const std::string& bytes) {
  const std::string key = std::string("\"") + kSeal + "\":\"";
  const size_t at = std::string_view(bytes).substr(0, header_end(bytes)).find(key);
  return at == std::string::npos || at + key.size() + kZeros.size() > header_end(bytes) ? std::string::npos
                                                                                        : at + key.size();
}

std::string header_hash(const std::string& bytes, size_t seal) {
  std::string header = bytes.substr(0, header_end(bytes));
  header.replace(seal, kZeros.size(), kZeros);
  return hex(XXH3_64bits(header.data(), header.size()));
}

void verify_seal(const std::string& bytes, SafetensorsFile* file) {
  const size_t seal = seal_position(bytes);
  check_input(seal != std::string::npos, Fault::kBadInput, file->path, ": has no header hash", kDamaged);
  check_input(bytes.compare(seal, kZeros.size(), header_hash(bytes, seal)) == 0, Fault::kBadInput, file->path,
              ": the header does not match its hash", kDamaged);
  file->metadata.erase(kSeal);
  for (const NamedTensor& entry : file->tensors) {
    const auto stored = file->metadata.find(kPerTensor + entry.name);
    check_input(stored != file->metadata.end() && stored->second == tensor_hash(entry.tensor), Fault::kBadInput,
                file->path, ": tensor ", entry.name, " does not match its hash", kDamaged);
    file->metadata.erase(stored);
  }
}

// Removes all but the newest `keep`. Failing to is no harm.
void prune(const fs::path& folder, int64_t newest, int64_t keep) {
  if (keep == 0) return;
  std::vector<int64_t> steps = steps_in(kStepHead, folder.string());
  std::erase(steps, newest);
  std::error_code ignored;
  for (int64_t i = 0; i < int64_t(steps.size()) - (keep - 1); ++i)
    fs::remove(folder / checkpoint_name(kStepHead, steps[size_t(i)]), ignored);
}

}  // namespace

std::string encode_checkpoint(const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  std::vector<StoredType> types;
  for (const NamedTensor& entry : tensors) types.push_back(stored_as(entry.tensor.dtype()));
  return encode_checkpoint(tensors, types, metadata);
}

std::string encode_checkpoint(const std::vector<NamedTensor>& tensors, const std::vector<StoredType>& types,
                              Metadata metadata) {
  metadata[kSeal] = kZeros;
  for (const NamedTensor& entry : tensors) metadata[kPerTensor + entry.name] = tensor_hash(entry.tensor);
  std::string bytes = encode_safetensors(tensors, types, metadata);
  const size_t seal = seal_position(bytes);
  check(seal != std::string::npos, "encode_checkpoint: the header has no place for its hash");
  bytes.replace(seal, kZeros.size(), header_hash(bytes, seal));
  return bytes;
}

bool carries_seal(const Metadata& metadata) {
  return std::any_of(metadata.begin(), metadata.end(),
                     [](const auto& entry) { return entry.first.find(kSeal) != std::string::npos; });
}

SafetensorsFile parse_sealed(const std::string& bytes, const std::string& path) {
  SafetensorsFile file = parse_safetensors(bytes, path);
  verify_seal(bytes, &file);
  return file;
}

SafetensorsFile parse_checkpoint(const std::string& bytes, const std::string& path) {
  SafetensorsFile file = parse_sealed(bytes, path);
  require_finite(file.tensors, Fault::kBadInput, path);
  return file;
}

SafetensorsFile parse_weights(const std::string& bytes, const std::string& path) {
  SafetensorsFile file = parse_safetensors(bytes, path);
  if (!carries_seal(file.metadata)) return file;
  verify_seal(bytes, &file);
  require_finite(file.tensors, Fault::kBadInput, path);
  return file;
}

SafetensorsFile read_sealed(const std::string& path) { return parse_sealed(read_file(path), path); }

SafetensorsFile read_checkpoint(const std::string& path) { return parse_checkpoint(read_file(path), path); }
SafetensorsFile read_weights(const std::string& path) { return parse_weights(read_file(path), path); }

void require_finished(const SafetensorsFile& file, bool allow_unfinished) {
  const Metadata::const_iterator step = file.metadata.find("step");
  check_input(allow_unfinished || !file.metadata.contains(kUnfinished), Fault::kBadInput, file.path,
              ": expected a finished judge, found one in the midst of its training",
              step == file.metadata.end() ? "" : ", at step " + step->second,
              "; let dtrain resume it, or allow unfinished ones");
}

std::string save_checkpoint(const std::string& run, int64_t step, std::vector<NamedTensor> tensors,
                            const Metadata& metadata, int64_t keep) {
  for (NamedTensor& entry : tensors) entry.tensor = entry.tensor.to(Device::kCpu);  // throws after a failure there
  require_finite(tensors, Fault::kInternal, "step " + std::to_string(step) + ", not saved");
  const fs::path folder = fs::path(run) / "checkpoints";
  make_directories(folder.string());
  const std::string name = checkpoint_name(kStepHead, step), path = (folder / name).string();
  std::error_code ignored;
  if (!fs::exists(folder / "latest", ignored)) write_file_atomic((folder / kFirstSave).string(), "");
  write_file_atomic(path, encode_checkpoint(tensors, metadata));
  // Before what it points to: whoever asks by RUN/latest whether there is something to go on from is never told no.
  fs::create_symlink("checkpoints/latest", fs::path(run) / "latest", ignored);
  write_file_atomic((folder / "latest").string(), name + "\n");
  fs::remove(folder / kFirstSave, ignored);
  prune(folder, step, keep);
  return path;
}

std::string bytes_hash(std::string_view bytes) { return hex(XXH3_64bits(bytes.data(), bytes.size())); }
std::string file_hash(const std::string& path) { return bytes_hash(read_file(path)); }

std::string latest_checkpoint(const std::string& run) {
  const fs::path folder = fs::path(run) / "checkpoints";
  if (!fs::exists(folder / "latest")) return "";
  std::string name = read_file((folder / "latest").string());
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  check_input(step_in(kStepHead, name).has_value(), Fault::kBadInput, (folder / "latest").string(),
              ": expected one name like step-00000100.safetensors; write the name of a checkpoint beside it into it");
  return (folder / name).string();
}

std::string stray_checkpoint(const std::string& run) {
  const fs::path folder = fs::path(run) / "checkpoints";
  std::error_code ignored;
  if (fs::exists(folder / "latest", ignored) || fs::exists(folder / kFirstSave, ignored)) return "";
  const std::vector<int64_t> steps = steps_in(kStepHead, folder.string());
  return steps.empty() ? "" : (folder / checkpoint_name(kStepHead, steps.back())).string();
}

std::vector<NamedTensor> with_prefix(const std::vector<NamedTensor>& tensors, const std::string& prefix) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& entry : tensors)
    if (entry.name.starts_with(prefix)) out.push_back({entry.name.substr(prefix.size()), entry.tensor});
  return out;
}

std::vector<NamedTensor> raw_weights(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> out;
  for (const NamedTensor& entry : tensors)
    if (!entry.name.starts_with("ema.") && !entry.name.starts_with("train.")) out.push_back(entry);
  return out;
}

std::vector<NamedTensor> add_prefix(const std::string& prefix, std::vector<NamedTensor> tensors) {
  for (NamedTensor& entry : tensors) entry.name = prefix + entry.name;
  return tensors;
}

void require_finite(const std::vector<NamedTensor>& tensors, Fault fault, const std::string& where) {
  const auto all_finite = [](const auto* data, int64_t count) {
    return std::all_of(data, data + count, [](auto x) { return std::isfinite(x); });
  };
  for (const auto& [name, tensor] : tensors) {
    const bool finite = tensor.dtype() == DType::i64 ||
                        (tensor.dtype() == DType::f32 ? all_finite(tensor.data<float>(), tensor.count())
                                                      : all_finite(tensor.data<double>(), tensor.count()));
    check_input(finite, fault, where, ": ", name, " holds a NaN or infinity, expected finite numbers",
                fault == Fault::kBadInput ? "; give another file" : "; lower the learning rate");
  }
}

}  // namespace echodiff
