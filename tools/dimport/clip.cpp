#include "dimport/clip.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "kernels/error.h"

namespace echodiff {

Extremes extremes_of(const std::vector<GrayImage>& frames) {
  Extremes greys{frames[0], frames[0], frames[0], frames.size() >= 5};
  std::vector<int64_t> sums(frames[0].pixels.size(), 0);
  for (const GrayImage& frame : frames)
    for (size_t i = 0; i < frame.pixels.size(); ++i) {
      greys.low.pixels[i] = std::min(greys.low.pixels[i], frame.pixels[i]);
      greys.high.pixels[i] = std::max(greys.high.pixels[i], frame.pixels[i]);
      sums[i] += frame.pixels[i];
    }
  for (size_t i = 0; i < sums.size(); ++i) greys.mean.pixels[i] = uint8_t(sums[i] / int64_t(frames.size()));
  return greys;
}

std::string to_bytes(const Clip& clip) {
  check_input(!clip.frames.empty(), Fault::kBadInput, "holds no frames");
  const nlohmann::json head{{"frames", clip.frames.size()},
                            {"width", clip.frames[0].width},
                            {"height", clip.frames[0].height},
                            {"spacing", clip.spacing},
                            {"patient", std::vector<uint8_t>(clip.patient.begin(), clip.patient.end())},
                            {"said_clean", clip.said_clean},
                            {"lossy", clip.lossy}};
  std::string bytes = head.dump() + "\n";
  for (const GrayImage& frame : clip.frames) bytes.append(frame.pixels.begin(), frame.pixels.end());
  return bytes;
}

Clip clip_of(const std::string& bytes) {
  const size_t end = bytes.find('\n');
  const nlohmann::json head = nlohmann::json::parse(bytes.substr(0, end), nullptr, false);
  check_input(end != std::string::npos && head.is_object(), Fault::kBadInput, "is damaged: its decoder said nonsense");
  const int64_t frames = head.value("frames", int64_t{0}), width = head.value("width", int64_t{0}),
                height = head.value("height", int64_t{0});
  const bool fits = frames > 0 && width > 0 && height > 0 && width <= kLongestSide && height <= kLongestSide &&
                    frames <= int64_t(bytes.size()) && frames * width * height == int64_t(bytes.size() - end - 1);
  check_input(fits, Fault::kBadInput, "is damaged: its decoder said nonsense");
  Clip clip;
  clip.spacing = head.at("spacing").get<std::array<double, 2>>();
  const std::vector<uint8_t> patient = head.at("patient").get<std::vector<uint8_t>>();
  clip.patient.assign(patient.begin(), patient.end());
  clip.said_clean = head.at("said_clean").get<bool>();
  clip.lossy = head.at("lossy").get<bool>();
  const uint8_t* at = reinterpret_cast<const uint8_t*>(bytes.data()) + end + 1;
  for (int64_t i = 0; i < frames; ++i, at += width * height)
    clip.frames.push_back({width, height, std::vector<uint8_t>(at, at + width * height)});
  return clip;
}

}  // namespace echodiff
