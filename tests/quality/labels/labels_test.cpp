// The labels file: round trip, strict reading, decisions, balancing, and the review page's data.
#include "quality/labels/labels.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "kernels/error.h"
#include "quality/labels/review_page.h"
#include "quality/recordings/picture_list.h"
#include "tensor/io/file.h"
#include "tensor/io/text.h"
#include "tests/scratch_folder.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

class LabelsTest : public ::testing::Test {
 protected:
  LabelsTest() { fs::create_directory(folder_ / "images"); }

  std::string at(const std::string& name) const { return folder_.at(name); }

  static LabelledImage image(const std::string& file, bool good) {
    LabelledImage one;
    one.file = file;
    one.metrics = {1.0 / 3, 20, 0.25};
    one.good = good;
    return one;
  }

  // What reading a labels file of these lines complains about.
  std::string complaint(const std::string& lines) const {
    write_file_atomic(at("bad.jsonl"), thresholds_json(Thresholds(), "labels") + "\n" + lines);
    try {
      read_label_file(at("bad.jsonl"));
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kBadInput) << error.what();
      return error.what();
    }
    return "";
  }

  ScratchFolder folder_;
};

TEST_F(LabelsTest, ReadsBackWhatWasWritten) {
  Labels labels{preset_thresholds("eq4"), {image("images/a.png", true), image("images/\"b\\ü.png", false)}};
  labels.images[0].group = "case3";
  labels.images[0].origin = "sampled";
  labels.images[1].source = "script";
  write_labels(at("labels.jsonl"), labels);
  const Labels read = read_label_file(at("labels.jsonl"));
  EXPECT_EQ(labels_text(read), labels_text(labels));
  ASSERT_EQ(read.images.size(), 2u);
  EXPECT_EQ(read.thresholds.rule, Rule::kEq4);
  EXPECT_EQ(read.images[0].path, at("images/a.png"));
  EXPECT_EQ(read.images[0].group, "case3");
  EXPECT_EQ(read.images[0].origin, "sampled");
  EXPECT_EQ(read.images[0].metrics.sharpness, 1.0 / 3);
  EXPECT_EQ(read.images[1].group, read.images[1].file);
  EXPECT_FALSE(read.images[1].good);
}

TEST_F(LabelsTest, ACutFileIsNoticed) {
  const std::string text =
      labels_text({Thresholds(), {image("a.png", true), image("b.png", false), image("c.png", true)}});
  for (size_t length = 0; length + 1 < text.size(); ++length) {  // the last newline may be missing
    write_file_unsynced(at("cut.jsonl"), text.substr(0, length));
    EXPECT_THROW(read_label_file(at("cut.jsonl")), Error) << length;
  }
}

TEST_F(LabelsTest, WhatAPersonDecidedStays) {
  Labels before{Thresholds(), {image("a.png", true), image("b.png", false)}};
  before.images[1].source = "person";
  write_labels(at("labels.jsonl"), before);
  Labels again{Thresholds(), {image("a.png", false), image("b.png", true), image("c.png", true)}};
  EXPECT_EQ(keep_decisions(at("labels.jsonl"), again), 1);
  EXPECT_FALSE(again.images[0].good);
  EXPECT_FALSE(again.images[1].good);
  EXPECT_EQ(again.images[1].source, "person");
  EXPECT_EQ(keep_decisions(at("none.jsonl"), again), 0);
  Labels without{Thresholds(), {image("a.png", true)}};
  EXPECT_THROW(keep_decisions(at("labels.jsonl"), without), Error);
  write_file_atomic(at("labels.jsonl"), "not labels");
  EXPECT_THROW(keep_decisions(at("labels.jsonl"), again), Error);
}

TEST_F(LabelsTest, ReadingIsStrictAndNamesTheLine) {
  const std::string good =
      R"({"file": "a.png", "sharpness": 1, "contrast": 2, "noise": 3, "label": "good", "source": "metric"})";
  EXPECT_EQ(complaint(good + "\n"), "");
  EXPECT_EQ(complaint(good), "");  // no newline at the end
  const auto with = [&good](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text + "\n";
  };
  const std::vector<std::string> bad = {"\n",
                                        "{\n",
                                        "[]\n",
                                        good + " x\n",
                                        with("a.png", ""),
                                        with("\"good\"", "\"fine\""),
                                        with("\"good\"", "1"),
                                        with("\"metric\"", "\"human\""),
                                        with("1", "NaN"),
                                        with("1", "1e999"),
                                        with("1", "\"1\""),
                                        with("1", "null"),
                                        with("\"noise\": 3, ", ""),
                                        with("\"noise\"", "\"nose\": 1, \"noise\""),
                                        with("\"noise\"", "\"contrast\": 1, \"noise\"")};
  for (const std::string& line : bad) {
    const std::string message = complaint(line);
    EXPECT_NE(message.find("bad.jsonl:2"), std::string::npos) << line << " -> " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  EXPECT_NE(complaint(good + "\n" + good + "\n").find("bad.jsonl:3: a.png is already labelled in line 2"),
            std::string::npos);
  write_file_atomic(at("bad.jsonl"), good + "\n");
  EXPECT_THROW(read_label_file(at("bad.jsonl")), Error);  // no rule in the first line
  write_file_atomic(at("bad.jsonl"), "");
  EXPECT_THROW(read_label_file(at("bad.jsonl")), Error);
}

TEST_F(LabelsTest, FilesAreRelativeToTheLabelsFile) {
  EXPECT_EQ(file_in_labels(at("images/a.png"), at("labels.jsonl")), "images/a.png");
  EXPECT_EQ(file_in_labels(at("images/a.png"), at("deep/labels.jsonl")), "../images/a.png");
}

TEST_F(LabelsTest, DecisionsSetLabelAndSource) {
  Labels labels{Thresholds(), {image("a.png", true), image("b.png", true), image("c.png", false)}};
  const std::string json =
      R"({"kind": "decisions", "source": "SOURCE", "decisions": [{"file": "a.png", "label": "poor"}, )"
      R"({"file": "c.png", "label": "poor"}]})";
  const auto read = [&](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    write_file_atomic(at("d.json"), text);
    return read_decisions(at("d.json"));
  };
  const Applied applied = apply_decisions(labels, read(json, "SOURCE", "script"), "d.json");
  EXPECT_EQ(applied.flipped, 1);
  EXPECT_EQ(applied.confirmed, 1);
  EXPECT_FALSE(labels.images[0].good);
  EXPECT_EQ(labels.images[0].source, "script");
  EXPECT_EQ(labels.images[1].source, "metric");  // nobody decided it
  EXPECT_THROW(read(json, "SOURCE", "metric"), Error);
  const std::string person =
      R"({"kind": "decisions", "source": "person", "decisions": [{"file": "a.png", "label": "poor"}]})";
  EXPECT_THROW(read(person, "\"poor\"", "\"bad\""), Error);
  EXPECT_THROW(read(person, "}]", "}, {\"file\": \"a.png\", \"label\": \"good\"}]"), Error);
  EXPECT_THROW(apply_decisions(labels, read(person, "a.png", "z.png"), "d.json"), Error);
}

TEST_F(LabelsTest, BalanceDrawsEquallyMany) {
  Labels labels;
  for (int i = 0; i < 50; ++i) labels.images.push_back(image(std::to_string(i) + ".png", i % 5 == 0));
  const auto good_of = [](const Labels& some) {
    int64_t good = 0;
    for (const LabelledImage& one : some.images) good += one.good;
    return good;
  };
  const Labels eight = balance_labels(labels, 8, 1);
  EXPECT_EQ(eight.images.size(), 8u);
  EXPECT_EQ(good_of(eight), 4);
  EXPECT_EQ(labels_text(eight), labels_text(balance_labels(labels, 8, 1)));
  EXPECT_NE(labels_text(eight), labels_text(balance_labels(labels, 8, 2)));
  const Labels most = balance_labels(labels, 200, 1);  // only ten are good
  EXPECT_EQ(most.images.size(), 20u);
  EXPECT_EQ(good_of(most), 10);
  std::set<std::string> files;
  for (const LabelledImage& one : most.images) files.insert(one.file);
  EXPECT_EQ(files.size(), 20u);
}

TEST_F(LabelsTest, ListsPicturesWithGroupAndSector) {
  const GrayImage grey{2, 2, {1, 2, 3, 4}};
  for (const char* name : {"images/000001.png", "images/000000.png", "sector/m.png", "sector/n.png"}) {
    make_directories(fs::path(at(name)).parent_path().string());
    write_png(at(name), grey);
  }
  write_file_atomic(at("samples.jsonl"), "{\"index\": 0, \"mask\": \"m.png\"}\n{\"index\": 1, \"mask\": \"n.png\"}\n");
  const std::vector<ListedPicture> pictures = list_pictures(folder_.string());
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].path, at("images/000000.png"));
  EXPECT_EQ(pictures[0].group, "m.png");
  EXPECT_EQ(pictures[1].sector_path, at("sector/n.png"));
  write_file_atomic(at("samples.jsonl"), "{\"index\": 0, \"mask\": \"m.png\"}\nnonsense\n");
  EXPECT_THROW(list_pictures(folder_.string()), Error);
  EXPECT_THROW(list_pictures(at("nowhere")), Error);
}

TEST_F(LabelsTest, ReviewPageIsSelfContained) {
  const GrayImage grey{2, 2, {1, 2, 3, 4}};
  Labels labels{Thresholds(), {image("images/script.png", true)}};
  labels.images[0].path = at("images/script.png");
  write_png(labels.images[0].path, grey);
  labels.images[0].file = "</script><b>";
  const std::string page = review_page(labels);
  EXPECT_EQ(page.find("http:"), std::string::npos);
  EXPECT_EQ(page.find("</script><b>"), std::string::npos);
  EXPECT_NE(page.find(base64(encode_png(grey))), std::string::npos);

  // What the browser keeps belongs to the labels' content.
  const auto id_of = [](const std::string& text) { return text.substr(text.find("\"id\":"), 40); };
  EXPECT_EQ(id_of(review_page(labels)), id_of(page));
  labels.images[0].good = false;
  EXPECT_NE(id_of(review_page(labels)), id_of(page));
}

}  // namespace
}  // namespace echodiff
