// What reading a checkpoint costs: its memory is held against its tensors' size; its time is printed beside that of
// reading the bytes and taking their CRC-32.
#include <zlib.h>

#include <iostream>

#include "nn/torch_import/weights_file.h"
#include "tests/nn/torch_import/torch_files.h"
#include "tests/tools/dweights_folder.h"

namespace echodiff {
namespace {

// 25 layers of 512 -> 256 3x3 convolution, a 512 x 512 linear layer and biases: 150 MB as a file.
std::string big_checkpoint(int64_t* tensor_bytes) {
  PickleWriter w;
  w.raw("}(");
  std::vector<std::string> storages;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    w.text(name).tensor("FloatStorage", std::to_string(storages.size()), count, 0, shape, strides);
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); ++i) values[i] = float(i * 2654435761U % 65536) / 65536.0F;
    storages.push_back(bytes_of_values(values));
    *tensor_bytes += count * 4;
  };
  for (int layer = 0; layer < 26; ++layer) {
    const std::string name = "layer" + std::to_string(layer);
    add(name + ".conv.weight", {256, 512, 3, 3}, {4608, 9, 3, 1});
    add(name + ".conv.bias", {256}, {1});
    add(name + ".linear.weight", {512, 512}, {512, 1});
  }
  return torch_zip(w.raw("u").stop(), storages);
}

template <class Work> double fastest_of(int repeats, Work&& work) {
  double best = 1e9;
  for (int i = 0; i < repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

TEST(SlowImport, A150MegabyteCheckpoint) {
  const DweightsFolder dweights;
  int64_t tensor_bytes = 0;
  const std::string path = dweights.file("big.pt", big_checkpoint(&tensor_bytes));
  const double size = double(fs::file_size(path)) / 1e6;
  uLong crc = 0;
  const double bytes_alone = fastest_of(5, [&] {
    const std::string bytes = read_file(path);
    crc = crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), uInt(bytes.size()));
  });
  const auto read = [&] { EXPECT_EQ(read_weights_file(path).tensors.size(), 78U); };
  const double first = fastest_of(1, read);  // its memory comes from the system; later the pool has it
  const double reading = fastest_of(5, read);
  const int64_t limit = tensor_bytes / 5 * 6;
  const Outcome outcome = dweights.run({"inspect", path, "--threads", "1"}, {}, limit);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  std::cout << size << " MB: bytes and CRC-32 " << bytes_alone * 1e3 << " ms, reading the tensors " << reading * 1e3
            << " ms (" << reading / bytes_alone << " x; the first time " << first * 1e3 << " ms), dweights inspect "
            << outcome.seconds * 1e3 << " ms within 1.2 x the tensors' memory (crc " << crc << ")\n";
}

}  // namespace
}  // namespace echodiff
