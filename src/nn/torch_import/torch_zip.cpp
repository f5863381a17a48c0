// FOLDER/data.pkl, FOLDER/data/KEY per storage, FOLDER/byteorder, FOLDER/version, and small records of no consequence.
#include <algorithm>
#include <unordered_map>

#include "nn/torch_import/storage_plan.h"
#include "nn/torch_import/zip_archive.h"
#include "tensor/io/text.h"

namespace echodiff {
namespace {

constexpr int64_t kDrain = 256 * 1024;  // bytes at a time of what is read for its CRC-32 only
constexpr int64_t kMaxSmallRecord = 4096;

void refuse_torchscript(const ZipArchive& archive, const std::string& path) {
  for (const ZipArchive::Record& record : archive.records())
    check_input(!record.name.starts_with("code/") && record.name != "constants.pkl", Fault::kBadInput, path,
                ": record ", in_quotes(record.name), ": a TorchScript archive, not weights; ", kExportTorchScript);
}

// The text of a small record; "" when there is none.
std::string small_text(ZipArchive& archive, const std::string& name, const std::string& path) {
  const int64_t record = archive.find(name);
  if (record < 0) return "";
  const int64_t size = archive.records()[size_t(record)].size;
  check_input(size <= kMaxSmallRecord, Fault::kBadInput, path, ": record ", in_quotes(name), " has ", size,
              " bytes, expected a word; the file is damaged");
  std::string text = archive.read_whole(size_t(record));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

bool is_big_endian(const std::string& byteorder, const std::string& path) {
  check_input(byteorder.empty() || byteorder == "little" || byteorder == "big", Fault::kBadInput, path,
              ": record \"byteorder\" says ", in_quotes(byteorder), ", expected little or big; the file is damaged");
  return byteorder == "big";
}

// The storage that each record holds, -1 for the others. Every storage has a record of its size.
std::vector<int64_t> storages_of_records(const ZipArchive& archive, const Pickle& pickle, const StoragePlan& plan,
                                         const std::string& path) {
  std::unordered_map<std::string_view, size_t> numbers;
  for (size_t i = 0; i < archive.records().size(); ++i) numbers[archive.records()[i].name] = i;
  std::vector<int64_t> storages(archive.records().size(), -1);
  for (size_t i = 0; i < pickle.storages.size(); ++i) {
    const std::string name = "data/" + pickle.storages[i].key;
    const auto found = numbers.find(name);
    check_input(found != numbers.end(), Fault::kBadInput, path, ": record ", in_quotes(name),
                " is not there, data.pkl expects it; the file is damaged");
    const int64_t size = archive.records()[found->second].size, expected = plan.bytes_of_storage(i);
    check_input(size == expected, Fault::kBadInput, path, ": record ", in_quotes(name), " has ", size,
                " bytes, data.pkl expects ", expected, "; the file is damaged");
    storages[found->second] = int64_t(i);
  }
  return storages;
}

}  // namespace

WeightsFile read_torch_zip(const InputFile& input) {
  const std::string& path = input.path();
  ZipArchive archive(path, input.size());
  refuse_torchscript(archive, path);
  const int64_t data = archive.find("data.pkl");
  check_input(data >= 0, Fault::kBadInput, path, ": a zip without the record data.pkl in its folder ",
              in_quotes(archive.folder()), ", expected a file of torch.save");
  const bool swap = is_big_endian(small_text(archive, "byteorder", path), path);
  PickleBytes bytes(archive.read_whole(size_t(data)));
  const std::string where = path + ": data.pkl";
  const Pickle pickle = read_pickle(bytes, 0, where);
  check_input(pickle.end == bytes.size(), Fault::kBadInput, where, ": byte ", pickle.end, ": ",
              bytes.size() - pickle.end, " bytes follow the pickle, expected none; the file is damaged");
  const FlatPickle flat = flatten_pickle(pickle, bytes, where);
  StoragePlan plan(pickle, flat, input.size(), swap, path);
  const std::vector<int64_t> storages = storages_of_records(archive, pickle, plan, path);

  std::vector<std::string> warnings;
  for (size_t i = 0; i < storages.size(); ++i) {
    const int64_t storage = storages[i];
    if (storage >= 0) {
      archive.read(i, plan.block_bytes(size_t(storage)),
                   [&](char* block, int64_t first, int64_t count) { plan.take(size_t(storage), block, first, count); });
    } else if (int64_t(i) != data) {
      archive.read(i, kDrain, [](char*, int64_t, int64_t) {});
      if (archive.records()[i].name.starts_with("data/"))
        warnings.push_back("record " + in_quotes(archive.records()[i].name) + " belongs to no tensor");
    }
  }
  WeightsFile file = plan.finish("zip");
  file.facts.insert(file.facts.begin(), "folder " + in_quotes(archive.folder()));
  file.warnings = std::move(warnings);
  return file;
}

}  // namespace echodiff
