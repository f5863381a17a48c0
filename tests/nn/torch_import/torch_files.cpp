#include "tests/nn/torch_import/torch_files.h"

#include <zlib.h>

#include <bit>

namespace echodiff {
namespace {

template <class T> void put(std::string* out, T value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_header(std::string* out, const ZipEntry& entry, const std::string& name, uint32_t crc) {
  put(out, uint16_t(10));
  put(out, uint16_t(entry.flags));
  put(out, uint16_t(entry.method));
  put(out, uint32_t(0));  // time and date
  put(out, crc);
  put(out, uint32_t(entry.bytes.size()));
  put(out, uint32_t(entry.bytes.size()));
  put(out, uint16_t(name.size()));
  put(out, uint16_t(0));
}

}  // namespace

PickleWriter& PickleWriter::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

PickleWriter& PickleWriter::text(std::string_view text) {
  bytes_ += 'X';
  put(&bytes_, uint32_t(text.size()));
  return raw(text);
}

PickleWriter& PickleWriter::integer(int64_t value) {
  bytes_ += "\x8A\x08";
  put(&bytes_, value);
  return *this;
}

PickleWriter& PickleWriter::real(double value) {
  bytes_ += 'G';
  put(&bytes_, __builtin_bswap64(std::bit_cast<uint64_t>(value)));
  return *this;
}

PickleWriter& PickleWriter::global(std::string_view module, std::string_view name) {
  return raw("c").raw(module).raw("\n").raw(name).raw("\n");
}

PickleWriter& PickleWriter::integers(const std::vector<int64_t>& values) {
  raw("(");
  for (const int64_t value : values) integer(value);
  return raw("t");
}

PickleWriter& PickleWriter::storage(std::string_view kind, std::string_view key, int64_t count,
                                    std::string_view location) {
  return raw("(").text("storage").global("torch", kind).text(key).text(location).integer(count).raw("tQ");
}

PickleWriter& PickleWriter::tensor(std::string_view kind, std::string_view key, int64_t count, int64_t offset,
                                   const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  global("torch._utils", "_rebuild_tensor_v2").raw("(").storage(kind, key, count).integer(offset);
  return integers(shape).integers(strides).raw("\x89").ordered_dict().raw("tR");
}

std::string zip_of(const std::vector<ZipEntry>& entries) {
  std::string file, directory;
  for (const ZipEntry& entry : entries) {
    const uint32_t crc =
        entry.crc >= 0
            ? uint32_t(entry.crc)
            : uint32_t(crc32(0, reinterpret_cast<const Bytef*>(entry.bytes.data()), uInt(entry.bytes.size())));
    const uint32_t offset = entry.local_offset >= 0 ? uint32_t(entry.local_offset) : uint32_t(file.size());
    const std::string local = entry.local_name.empty() ? entry.name : entry.local_name;
    file += "PK\x03\x04";
    put_header(&file, entry, local, crc);
    file += local + entry.bytes;
    directory += "PK\x01\x02";
    put(&directory, uint16_t(10));
    put_header(&directory, entry, entry.name, crc);
    directory.append(10, '\0');  // comment length, disk, attributes
    put(&directory, offset);
    directory += entry.name;
  }
  const uint32_t begin = uint32_t(file.size());
  file += directory + std::string("PK\x05\x06\0\0\0\0", 8);
  put(&file, uint16_t(entries.size()));
  put(&file, uint16_t(entries.size()));
  put(&file, uint32_t(directory.size()));
  put(&file, begin);
  put(&file, uint16_t(0));
  return file;
}

std::string torch_zip(const std::string& pickle, const std::vector<std::string>& storages,
                      const std::string& byteorder) {
  std::vector<ZipEntry> entries{{.name = "a/data.pkl", .bytes = pickle}, {.name = "a/byteorder", .bytes = byteorder}};
  for (size_t i = 0; i < storages.size(); ++i)
    entries.push_back({.name = "a/data/" + std::to_string(i), .bytes = storages[i]});
  entries.push_back({.name = "a/version", .bytes = "3\n"});
  return zip_of(entries);
}

std::string torch_legacy(const std::string& pickle, const std::vector<LegacyStorage>& storages) {
  std::string file = PickleWriter().raw("\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19").stop();
  file += PickleWriter().integer(1001).stop();
  file += PickleWriter().dict().text("little_endian").raw("\x88").set_item().stop();
  file += pickle;
  PickleWriter keys;
  keys.raw("](");
  for (const LegacyStorage& storage : storages) keys.text(storage.key);
  file += keys.raw("e").stop();
  for (const LegacyStorage& storage : storages) {
    put(&file, storage.count);
    file += storage.bytes;
  }
  return file;
}

std::string small_checkpoint() {
  const std::string pickle = PickleWriter()
                                 .dict()
                                 .text("w")
                                 .tensor("FloatStorage", "0", 6, 0, {2, 3}, {3, 1})
                                 .set_item()
                                 .text("step")
                                 .integer(12)
                                 .set_item()
                                 .stop();
  return torch_zip(pickle, {bytes_of_values<float>({1, 2, 3, 4, 5, 6})});
}

}  // namespace echodiff
