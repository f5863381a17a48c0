#include "tests/formula.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "nn/init.h"
#include "tensor/io/safetensors.h"
#include "tests/shared.h"

namespace echodiff {
namespace {

// What a value u of the stream becomes: offset + scale * u.
struct Scaling {
  float offset, scale;
};

Scaling scaling_of(const std::string& name, const Shape& shape) {
  if (name.ends_with("mem_kv")) return {0, float(std::sqrt(3.0))};
  if (name.ends_with(".g")) return {1, 0.25f};
  if (shape.rank() > 1) return {0, float(std::sqrt(3.0 / double(shape.count() / shape[0])))};
  if (name.ends_with("running_var")) return {1, 0.5f};
  if (name.ends_with("weight")) return {1, 0.25f};
  return {0, 0.1f};
}

}  // namespace

std::vector<float> formula_stream(uint64_t seed, int64_t n) {
  std::vector<float> values;
  for (int64_t i = 1; i <= n; ++i) {
    uint64_t z = seed + uint64_t(i) * 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    z ^= z >> 31;
    values.push_back(float(double(z >> 40) * 0x1p-23 - 1));
  }
  return values;
}

StateDict formula_weights(const std::string& keys) {
  std::ifstream stream(golden_path(keys));
  StateDict state;
  for (const nlohmann::json& key : nlohmann::json::parse(stream)) {
    const std::string name = key.at("name");
    const Shape shape(key.at("shape").get<std::vector<int64_t>>());
    if (key.at("dtype") == "int64") {
      state.push_back({name, full(shape, double(fnv1a(name) % 1000), DType::i64)});
      continue;
    }
    Scaling scaling = scaling_of(name, shape);
    scaling.scale *= key.value("gain", 1.0f);
    std::vector<float> values = formula_stream(fnv1a(name), shape.count());
    for (float& u : values) u = scaling.offset + scaling.scale * u;
    state.push_back({name, from_values(shape, values.data())});
  }
  return state;
}

FormulaFile::FormulaFile(const std::string& keys) { write_safetensors(path(), formula_weights(keys), {}); }

}  // namespace echodiff
