// Bytes as labels.jsonl, index.csv, dataset.json, decisions.json or thresholds.json, by the first byte.
#include "quality/labels/labels.h"
#include "tests/fuzz/target.h"
#include "train/data/dataset_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace echodiff;
  if (size == 0) return 0;
  const std::string path = fuzz::file_of(fuzz::text_of(data + 1, size - 1));
  fuzz::expect_read_or_refused([&] {
    switch (data[0]) {
      case 'l': labels_text(read_label_file(path)); break;
      case 'i': read_index(path); break;
      case 'd': read_description(path); break;
      case 'v': read_decisions(path); break;
      default: read_thresholds(path);
    }
  });
  return 0;
}
