// TensorBoard's event files, read back as their format says. tests/tools/tensorboard_reads.py asks TensorBoard itself.
#include "train/event_file.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "tests/scratch_folder.h"
#include "train/run_log.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

// The events of the one file in a folder, each record's checksums looked at.
std::vector<std::string> events_in(const std::string& folder) {
  std::string bytes;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) bytes = read_file(entry.path().string());
  const auto masked = [](std::string_view part) {
    const uint32_t crc = crc32c(part);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
  };
  const auto crc_at = [&](size_t at) {
    uint32_t crc = 0;
    std::memcpy(&crc, bytes.data() + at, 4);
    return crc;
  };
  std::vector<std::string> events;
  size_t at = 0;
  while (at + 16 <= bytes.size()) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    EXPECT_EQ(crc_at(at + 8), masked(std::string_view(bytes).substr(at, 8)));
    events.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(crc_at(at + 12 + length), masked(events.back()));
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size());
  return events;
}

// The bytes of "tag" as TensorBoard's Summary.Value has a scalar: field 1 text, field 2 float.
std::string scalar_bytes(const std::string& tag, float value) {
  std::string bytes = "\x0a" + std::string(1, char(tag.size())) + tag + "\x15";
  bytes.append(reinterpret_cast<const char*>(&value), 4);
  return bytes;
}

TEST(EventFile, ChecksumsAreCastagnolis) {  // RFC 3720, appendix B.4
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(""), 0u);
}

TEST(EventFile, HasEveryNumberOfALine) {
  const ScratchFolder run;
  EventFile file(run.string(), 0, [](const std::string&) { FAIL(); });
  file.add({{"step", int64_t(300)}, {"loss", 0.5}, {"bins", std::vector<double>{1, 2}}, {"stopped", std::string("x")}});
  file.add({{"step", int64_t(301)}, {"stopped", std::string("nothing to show")}});
  const std::vector<std::string> events = events_in(run.string());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_NE(events[0].find("brain.Event:2"), std::string::npos);
  EXPECT_NE(events[1].find("\x10\xac\x02"), std::string::npos);  // step 300 as a varint
  for (const std::string& one : {scalar_bytes("loss", 0.5f), scalar_bytes("bins/0", 1), scalar_bytes("bins/1", 2)})
    EXPECT_NE(events[1].find(one), std::string::npos);
  EXPECT_EQ(events[1].find("stopped"), std::string::npos);
}

TEST(EventFile, OfARunThatGoesOnForgetsWhatCameLater) {
  const ScratchFolder run;
  EventFile file(run.string(), 20, [](const std::string&) { FAIL(); });
  const std::vector<std::string> events = events_in(run.string());
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[1].ends_with(std::string("\x10\x15\x3a\x02\x08\x01", 6)));  // step 21, session_log.status START
}

TEST(EventFile, TakesPictures) {
  const ScratchFolder run;
  EventFile file(run.string(), 0, [](const std::string&) { FAIL(); });
  file.add_png(7, "samples", std::string(300, 'p'), 4, 5);
  const std::string event = events_in(run.string()).back();
  EXPECT_NE(event.find(std::string("\x08\x04\x10\x05\x18\x01\x22\xac\x02", 9) + std::string(300, 'p')),
            std::string::npos);
}

TEST(EventFile, GetsEachLineOfTheLogOnce) {
  const ScratchFolder run;
  const auto events =
      std::make_shared<EventFile>(run.string(), 0, [](const std::string&) { ADD_FAILURE() << "nothing is full"; });
  PatientLog log(
      run.at("log.jsonl"), -1, [](const std::string&) {}, events);
  for (int64_t step = 1; step <= 5; ++step) log.write(step, {{"loss", 1.0 / double(step)}});
  log.finish();
  EXPECT_EQ(events_in(run.string()).size(), 6u);
}

}  // namespace
}  // namespace echodiff
