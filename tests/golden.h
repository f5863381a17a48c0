// Comparing with what PyTorch computed: tests/golden/, at the accuracy that tolerances.json there states.
#pragma once

#include <map>
#include <string>

#include "tensor/io/safetensors.h"
#include "tensor/tensor.h"
#include "tests/shared.h"

namespace echodiff {

// One golden file and its row of tolerances.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& file);  // relative to golden/, e.g. "ops/conv2d.safetensors"

  Tensor at(const std::string& key) const { return content_.at(key).to(test_device()); }
  bool contains(const std::string& key) const { return content_.contains(key); }
  const SafetensorsFile& content() const { return content_; }

  // Fails the running test, naming the file, the key, the worst element and what is allowed, unless `actual` has the
  // shape of `key` and lies within 8 times the error PyTorch itself makes in float32 (8 x max(rel, 2.5e-7) x
  // max|reference|; 2e-5 x max|reference| where no tolerance is stated). The reference is KEY_f64 where the file has
  // it. Elements above 1e6 are compared each relatively to itself, the others to the largest of themselves
  // (or to one where the true value is zero everywhere).
  void expect(const std::string& key, const Tensor& actual) const;
  // The same with a stated relative tolerance, e.g. 1e-10 for a result computed in f64.
  void expect_within(const std::string& key, const Tensor& actual, double relative) const;

 private:
  std::string file_;
  SafetensorsFile content_;
  std::map<std::string, double> tolerances_;  // "rel" by key
};

// For a single comparison: GoldenFile(file).expect(key, actual).
void expect_golden(const std::string& file, const std::string& key, const Tensor& actual);

}  // namespace echodiff
