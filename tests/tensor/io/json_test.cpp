// JSON is read strictly: what is refused, and that every family of files is read so.
#include "tensor/io/json.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/error.h"
#include "nn/torch_import/maps.h"
#include "nn/torch_import/weights_file.h"
#include "quality/labels/labels.h"
#include "quality/recordings/picture_list.h"
#include "quality/sampling/exits.h"
#include "quality/sampling/policy/restart.h"
#include "tensor/io/safetensors.h"
#include "tests/tools/report_folder.h"
#include "train/data/dataset_index.h"

namespace echodiff {
namespace {

template <class Read> std::string refusal(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.fault(), Fault::kBadInput) << error.what();
    return error.what();
  }
  return "accepted";
}

JsonNode parsed(const std::string& text) { return parse_json(text, "F"); }

TEST(Json, NothingMayFollowNotEvenANul) {
  using namespace std::string_literals;
  EXPECT_TRUE(parsed("{\"a\": 1}\n ").has("a"));
  for (const std::string& text : {"{\"a\": 1}\0"s, "{\"a\": 1}\0{}"s, "{\"a\": \"x\0y\"}"s, "{}{}"s, "{}x"s, "\0{}"s})
    EXPECT_NE(refusal([&] { parsed(text); }).find("F"), std::string::npos) << text;
  const std::string header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}\0\0junk"s;
  const std::string file = std::string(1, char(header.size())) + std::string(7, '\0') + header;
  EXPECT_NE(refusal([&] { parse_safetensors(file, "F"); }).find("NUL"), std::string::npos);
}

TEST(Json, GettersGiveWhatIsThere) {
  const JsonNode json = parsed(
      R"({"a": 1.5, "b": 3, "c": 3.0, "d": -1, "e": 18446744073709551615, "f": "x", "g": true, "h": null, "i": [1, 2],)"
      R"( "j": ["p", "q"], "k": {"l": [{"m": 4}]}, "e2": 3e2})");
  EXPECT_EQ(json.number("a"), 1.5);
  EXPECT_EQ(json.count("b"), 3);
  EXPECT_EQ(json.count("c"), 3);
  EXPECT_EQ(json.count("e2"), 300);
  EXPECT_EQ(json.integer("d"), -1);
  EXPECT_EQ(json.seed("e"), 18446744073709551615U);
  EXPECT_EQ(json.text("f"), "x");
  EXPECT_EQ(json.choice("f", {"w", "x"}), "x");
  EXPECT_TRUE(json.flag("g"));
  EXPECT_TRUE(json.has("h"));
  EXPECT_EQ(json.find("h"), nullptr);
  EXPECT_EQ(json.number("h", 7), 7);
  EXPECT_EQ(json.text("absent", "y"), "y");
  EXPECT_EQ(json.integers("i"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(json.texts("j"), (std::vector<std::string>{"p", "q"}));
  EXPECT_TRUE(json.items("absent").empty());
  const JsonNode& inner = json.object("k").objects("l")[0];
  EXPECT_EQ(inner.where, "F: k: l[0]");
  EXPECT_EQ(inner.count("m"), 4);
  inner.done();
  json.done();
}

TEST(Json, RefusalsNamePlaceKeyExpectedAndFound) {
  const std::string deep = "{\"a\": " + std::string(100000, '[');
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {"", "F: expected a JSON object, found what is not valid JSON"},
           {"[1]", "F: expected a JSON object, found an array"},
           {"{\"a\": NaN}", "not valid JSON"},
           {"{\"a\": 1e400}", "not valid JSON"},
           {"{\"a\": 1} {}", "not valid JSON"},
           {"{\"a\": 1,\n \"b\": }", "F:2: expected"},
           {"{\"a\": 1, \"a\": 1}", "F: key \"a\" occurs twice"},
           {"{\"a\": [0, {\"b\": 1, \"b\": 2}]}", "F: a[1]: key \"b\" occurs twice"},
           {"{\"a\\nb\": 1, \"a\\nb\": 1}", "key \"a\\nb\" occurs twice"},
           {deep, "32 levels of nesting"}}) {
    const std::string found = refusal([&, &text = text] { parsed(text); });
    EXPECT_NE(found.find(message), std::string::npos) << text.substr(0, 40) << ": " << found;
    EXPECT_EQ(found.find('\n'), std::string::npos) << found;
  }
  const JsonNode json = parsed(R"({"a": "x", "b": 1.5, "c": -1, "d": [1, "x"], "e": null})");
  const auto expect = [](const std::string& found, const std::string& message) {
    EXPECT_EQ(found.substr(0, message.size()), message);
  };
  expect(refusal([&] { json.number("a"); }), "F: key \"a\": expected a number, found \"x\"");
  expect(refusal([&] { json.number("z"); }), "F: key \"z\": expected a number, found none");
  expect(refusal([&] { json.number("a", 1); }), "F: key \"a\": expected a number, found \"x\"");
  expect(refusal([&] { json.integer("b"); }), "F: key \"b\": expected a whole number, found 1.5");
  expect(refusal([&] { json.count("c"); }), "F: key \"c\": expected a whole number from 0 on, found -1");
  expect(refusal([&] { json.text("b"); }), "F: key \"b\": expected text, found 1.5");
  expect(refusal([&] { json.flag("b"); }), "F: key \"b\": expected true or false, found 1.5");
  expect(refusal([&] { json.choice("a", {"p", "q"}); }), "F: key \"a\": expected p or q, found \"x\"");
  expect(refusal([&] { json.integers("d"); }), "F: key \"d\": expected an array of whole numbers, found an array");
  expect(refusal([&] { json.objects("d"); }), "F: key \"d\": expected an array of objects, found an array");
  expect(refusal([&] { json.done(); }), "F: unknown keys: e");
  EXPECT_FALSE(try_parse_json("{\"a\": 1", "F").has_value());
}

// Every file with one key of its outermost object a second time.
class JsonFamilies : public ReportTest {
 protected:
  // `file` holds `text`, its key `key` twice.
  std::string twice(const std::string& file, const std::string& key, const std::string& text) const {
    const size_t begin = text.find('{') + 1;
    EXPECT_NE(text.find("\"" + key + "\""), std::string::npos) << file;
    write(file, text.substr(0, begin) + "\"" + key + "\": 0, " + text.substr(begin));
    return at(file);
  }
  void expect_named(const std::string& found, const std::string& file, const std::string& key) const {
    EXPECT_NE(found.find(file), std::string::npos) << found;
    EXPECT_NE(found.find("key \"" + key + "\" occurs twice"), std::string::npos) << file << ": " << found;
    EXPECT_LE(std::count(found.begin(), found.end(), '\n'), 1) << found;
  }
  // `read` reads the file that `twice` writes.
  template <class Read>
  void expect_refused(const std::string& file, const std::string& key, const std::string& text,
                      const Read& read) const {
    const std::string path = twice(file, key, text);
    expect_named(refusal([&] { read(path); }), file, key);
  }
};

TEST_F(JsonFamilies, ARepeatedKeyIsRefused) {
  const std::string rule = thresholds_json(Thresholds(), "labels") + "\n";
  expect_refused("labels.jsonl", "rule", rule, [](const std::string& path) { return read_label_file(path); });
  write("labels.jsonl", rule + "{\"file\": \"a\", \"file\": \"b\"}\n");
  expect_named(refusal([&] { read_label_file(at("labels.jsonl")); }), "labels.jsonl:2: ", "file");
  expect_refused("thresholds.json", "sigma", thresholds_json(Thresholds()), read_thresholds);
  expect_refused("decisions.json", "kind", "{\"kind\": \"decisions\"}", read_decisions);
  write_exit_rule(at("exits.json"), {});
  expect_refused("exits.json", "steps", read_file(at("exits.json")), read_exit_rule);
  write_restart_rule(at("restart.json"), {});
  expect_refused("restart.json", "lambda", read_file(at("restart.json")), read_restart_rule);
  make_recording("recording");
  expect_refused("recording/recording.json", "seed", read_file(at("recording/recording.json")),
                 [&](const std::string&) { read_recording_facts(at("recording")); });
  expect_refused("dataset.json", "planes", "{\"planes\": []}", read_description);
  make_directories(at("images"));
  write_png(at("images/000000.png"), picture(1, 2, 3));
  expect_refused("samples.jsonl", "index", "{\"index\": 0}\n",
                 [&](const std::string&) { list_pictures(at("images"), ""); });
  expect_refused("config.json", "act_fn", "{\"act_fn\": \"silu\"}",
                 [](const std::string& path) { parse_diffusers_config(read_file(path), path, {}); });
  expect_refused("model.safetensors.index.json", "weight_map", "{\"weight_map\": {}}", read_weights_file);
  const std::string entry = R"("w": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]})";
  const std::string header = "{" + entry + ", " + entry + "}", length{char(header.size()), 0, 0, 0, 0, 0, 0, 0};
  expect_named(refusal([&] { parse_safetensors(length + header, "w.safetensors"); }), "w.safetensors", "w");
}

TEST_F(JsonFamilies, ARepeatedKeyIsRefusedInAReport) {
  make_everything();
  for (const auto& [file, key] : std::vector<std::pair<std::string, std::string>>{{"measured/evaluation.json", "data"},
                                                                                  {"guided/summary.json", "policy"},
                                                                                  {"guided/samples.jsonl", "mask"},
                                                                                  {"model/log.jsonl", "step"},
                                                                                  {"scorer/metrics.json", "auroc"},
                                                                                  {"value/metrics.json", "on"}}) {
    const std::string whole = read_file(at(file));
    twice(file, key, whole);
    const Outcome outcome = dreport("--runs " + file.substr(0, file.find('/')) + " --out r.html");
    EXPECT_EQ(outcome.code, 65) << outcome.err;
    expect_named(outcome.err, file, key);
    write(file, whole);
  }
}

}  // namespace
}  // namespace echodiff
