#include "train/event_file.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>

namespace echodiff {
namespace {

// Protobuf's wire format: fields of Event, Summary and its values, Image, SessionLog.
enum class Wire : uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

template <class T> std::string little_endian(T value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof value; ++i) bytes += char(uint8_t(value >> (8 * i)));
  return bytes;
}
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += char(uint8_t(value | 0x80));
  return bytes + char(uint8_t(value));
}
std::string key(uint64_t field, Wire wire) { return varint(field << 3 | uint64_t(wire)); }
std::string number(uint64_t field, int64_t value) { return key(field, Wire::varint) + varint(uint64_t(value)); }
std::string text(uint64_t field, std::string_view bytes) {
  return key(field, Wire::bytes) + varint(bytes.size()) + std::string(bytes);
}
std::string real64(uint64_t field, double value) {
  return key(field, Wire::fixed64) + little_endian(std::bit_cast<uint64_t>(value));
}
std::string real32(uint64_t field, float value) {
  return key(field, Wire::fixed32) + little_endian(std::bit_cast<uint32_t>(value));
}

// Event: wall_time = 1, step = 2, and `what`: file_version = 3, summary = 5 or session_log = 7.
std::string event(int64_t step, const std::string& what) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  return real64(1, now.count()) + number(2, step) + what;
}
// Summary.Value: tag = 1, simple_value = 2, image = 4.
std::string scalar(const std::string& tag, double value) { return text(1, text(1, tag) + real32(2, float(value))); }

uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

std::string file_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == 0) host = {"localhost"};
  const std::chrono::seconds now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
  const std::string name = "events.out.tfevents." + std::to_string(now.count()) + "." + host.data();
  return name + "." + std::to_string(::getpid());
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> made{};
    for (uint32_t i = 0; i < 256; ++i) {
      made[i] = i;
      for (int bit = 0; bit < 8; ++bit) made[i] = made[i] & 1 ? made[i] >> 1 ^ 0x82f63b78u : made[i] >> 1;
    }
    return made;
  }();
  uint32_t crc = ~0u;
  for (const char byte : bytes) crc = crc >> 8 ^ table[(crc ^ uint8_t(byte)) & 0xff];
  return ~crc;
}

EventFile::EventFile(const std::string& run, int64_t first_step, std::function<void(const std::string&)> warn)
    : warn_(std::move(warn)), file_(std::in_place, run + "/" + file_name(), 0) {
  constexpr int64_t kStart = 1;  // SessionLog.status = 1
  write(event(0, text(3, "brain.Event:2")));
  if (first_step > 0) write(event(first_step + 1, text(7, number(1, kStart))));
}

void EventFile::write(std::string_view event) {
  if (!file_) return;
  const std::string length = little_endian(uint64_t(event.size()));
  try {
    file_->write(length + little_endian(masked(crc32c(length))) + std::string(event) +
                 little_endian(masked(crc32c(event))));
  } catch (const Error& error) {
    file_.reset();
    warn_(std::string(error.what()) + "; TensorBoard gets no more of this run until it goes on with --resume");
  }
}

void EventFile::add(const LogFields& line) {
  int64_t step = 0;
  std::string values;
  for (const auto& [name, value] : line) {
    if (const int64_t* integer = std::get_if<int64_t>(&value)) {
      if (name == "step")
        step = *integer;
      else
        values += scalar(name, double(*integer));
    } else if (const double* one = std::get_if<double>(&value)) {
      values += scalar(name, *one);
    } else if (const std::vector<double>* list = std::get_if<std::vector<double>>(&value)) {
      for (size_t i = 0; i < list->size(); ++i) values += scalar(name + "/" + std::to_string(i), (*list)[i]);
    }
  }
  if (!values.empty()) write(event(step, text(5, values)));
}

void EventFile::add_png(int64_t step, const std::string& tag, std::string_view png, int64_t height, int64_t width) {
  constexpr int64_t kGrey = 1;  // Image: height = 1, width = 2, colorspace = 3, encoded_image_string = 4
  const std::string image = number(1, height) + number(2, width) + number(3, kGrey) + text(4, png);
  write(event(step, text(5, text(1, text(1, tag) + text(4, image)))));
}

}  // namespace echodiff
