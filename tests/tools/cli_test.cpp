// The program shell: flags, config files, exit codes and one-line errors, in this process; and dlabel, as it is run.
#include "cli/cli.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>

#include "tensor/io/file.h"
#include "tensor/io/png.h"
#include "tensor/io/toml.h"
#include "tests/scratch_folder.h"
#include "train/run_dir.h"
#include "train/run_log.h"

namespace echodiff {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string out, err;
};

class CliTest : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.at(name); }
  std::string config(const std::string& text) const {
    write_file_atomic(at("c.toml"), text);
    return at("c.toml");
  }

  // Runs a small program with two subcommands.
  Outcome run(std::vector<std::string> arguments) {
    count = 100;
    eta = 0;
    sampler = "ddim";
    accept.reset();
    betas = {0.9, 0.99};
    runs.clear();
    out.clear();
    resume = false;
    arguments.insert(arguments.begin(), "dthing");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    const ProgramInfo info{"dthing", "Makes things.", "dthing make --out x"};
    outcome.code = run_program(int(argv.size()), argv.data(), info, [&](Options& root) {
      Options& make = root.subcommand("make", "Makes.", "dthing make --out x");
      make.add("--out", out, "folder to write", "DIR").required();
      make.add("--count", count, "how many", {1, 1000}, "things");
      make.add("--eta", eta, "noise", {-1, 1}, "fraction");
      make.add("--accept", accept, "stop early", {1, 1000}, "things", "no limit");
      make.add_choice("--sampler", sampler, "process", {"ddpm", "ddim"});
      make.add_flag("--resume", resume, "go on");
      make.add_numbers("--betas", betas, "Adam", {0, 1}, "decay");
      make.add_list("--runs", runs, "runs", "DIR");
      make.rule([&] { check_input(count != 13, Fault::kUsage, "--count: 13 is not lucky"); });
      make.body([&](const Common& common) {
        seen = common;
        return body ? body() : 0;
      });
      root.subcommand("other", "Does nothing.", "dthing other").body([](const Common&) { return 3; });
    });
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }

  // Expects this code and one line on stderr that says `text`.
  void expect_refused(const std::vector<std::string>& arguments, int code, const std::string& text) {
    const Outcome outcome = run(arguments);
    std::string shown;
    for (const std::string& argument : arguments) shown += argument + " ";
    EXPECT_EQ(outcome.code, code) << shown;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << shown << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << shown << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }

  ScratchFolder folder_;
  int64_t count = 100;
  double eta = 0;
  std::string sampler, out;
  std::optional<int64_t> accept;
  bool resume = false;
  std::vector<double> betas;
  std::vector<std::string> runs;
  Common seen;
  std::function<int()> body;
};

TEST_F(CliTest, ReadsEveryKindOfFlag) {
  const Outcome outcome =
      run({"make",     "--out",   "x",        "--count=7", "--eta", "-0.5", "--accept", "3", "--sampler", "ddpm",
           "--resume", "--betas", "0.5,0.25", "--runs",    "a",     "b",    "--seed",   "9", "--threads", "1"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(out, "x");
  EXPECT_EQ(count, 7);
  EXPECT_EQ(eta, -0.5);
  EXPECT_EQ(accept, 3);
  EXPECT_EQ(sampler, "ddpm");
  EXPECT_TRUE(resume);
  EXPECT_EQ(betas, (std::vector<double>{0.5, 0.25}));
  EXPECT_EQ(runs, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(seen.seed, 9u);
  EXPECT_EQ(seen.threads, 1);
  EXPECT_EQ(seen.device, "cpu");
  EXPECT_EQ(seen.program, "dthing make");
  EXPECT_TRUE(seen.given("--count"));
  EXPECT_FALSE(seen.given("--quiet"));
  EXPECT_EQ(run({"--seed", "9", "make", "--out", "x"}).code, 0);  // common flags may come first
  EXPECT_EQ(seen.seed, 9u);
  EXPECT_EQ(run({"other"}).code, 3);
}

TEST_F(CliTest, RefusesBadFlagsInOneLine) {
  for (const char* value : {"nan", "inf", "-inf", "1e400", "x", "", "2", "0x1", "1 "})
    expect_refused({"make", "--out", "x", "--eta", value}, 2, "--eta: expected a finite number in -1..1");
  for (const char* value : {"0", "-1", "1.5", "nan", "99999999999999999999", ""})
    expect_refused({"make", "--out", "x", "--count", value}, 2, "--count: expected an integer in 1..1000");
  expect_refused({"make", "--out", "x", "--count", "1", "--count", "2"}, 2, "--count");
  expect_refused({"make", "--out", "x", "--cuont", "1"}, 2, "did you mean --count?");
  expect_refused({"make", "--out", "x", "--sampler", "dimm"}, 2, "expected one of ddpm, ddim");
  expect_refused({"make", "--out", "x", "--resume=maybe"}, 2, "--resume: expected true or false");
  expect_refused({"make", "--out", "x", "--betas", "0.9"}, 2, "--betas: expected 2 numbers");
  expect_refused({"make", "--out", "x", "--betas", "0.9,nan"}, 2, "--betas");
  expect_refused({"make", "--out"}, 2, "--out: expected a value");
  expect_refused({"make", "--out", ""}, 2, "--out is required");
  expect_refused({"make"}, 2, "--out is required");
  expect_refused({"make", "--out", "x", "stray"}, 2, "unknown argument 'stray'");
  expect_refused({"make", "--out", "x", "--seed", "-1"}, 2, "--seed");
  expect_refused({"mak"}, 2, "did you mean make?");
  expect_refused({}, 2, "expected a subcommand: make, other");
  expect_refused({"make", "--out", "x", "--count", "13", "--device", "cuda"}, 2, "not lucky");  // rules before device
}

TEST_F(CliTest, ConfigFileIsBelowFlags) {
  const std::string path =
      config("seed = 4\ncount = 5\n[make]\nout = \"o\\\"ut\"\neta = 1\nbetas = [0.5, 0.25]\nruns = [\"a\", \"b c\"]\n");
  const Outcome outcome = run({"make", "--config", path, "--count", "9"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(out, "o\"ut");
  EXPECT_EQ(count, 9);
  EXPECT_EQ(eta, 1);
  EXPECT_EQ(seen.seed, 4u);
  EXPECT_EQ(runs, (std::vector<std::string>{"a", "b c"}));
  EXPECT_TRUE(seen.given("--eta"));
  // What a run stores is what --config reads.
  write_file_atomic(at("again.toml"), seen.resolved_toml + "\n[resolved]\nplanes = [\"sector\"]\n");
  const std::string stored = seen.resolved_toml;
  EXPECT_EQ(run({"make", "--config", at("again.toml")}).code, 0);
  EXPECT_EQ(seen.resolved_toml, stored);
  const std::map<std::string, std::string> flat = read_flat_toml(at("again.toml"));
  EXPECT_EQ(flat.at("betas"), "0.5,0.25");
  EXPECT_EQ(flat.at("count"), "9");
  EXPECT_EQ(flat.at("out"), "o\"ut");
  EXPECT_EQ(flat.at("resume"), "false");
  EXPECT_EQ(flat.at("made_by.program"), "dthing make");
  EXPECT_EQ(flat.count("accept"), 0u);
}

TEST_F(CliTest, RefusesBadConfigWithItsPlace) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"cuont = 1", ":1:9: unknown key 'cuont', did you mean count?"},
      {"\n[mak]\ncount = 1", ":2:1: unknown table [mak], did you mean make?"},
      {"[other]\nx = 1", ":2:5: unknown key 'x'"},
      {"count = 1\ncount = 2", ":2:"},
      {"count = \"1\"", ":1:9: count: expected an integer (1..1000), found string"},
      {"count = 1.0", "count: expected an integer"},
      {"count = 0", "count: expected an integer in 1..1000, found '0'"},
      {"eta = nan", "eta: expected a finite number"},
      {"eta = inf", "eta: expected a finite number"},
      {"eta = 1e400", ":1:"},
      {"resume = 1", "resume: expected true or false"},
      {"sampler = 3", "sampler: expected a string"},
      {"betas = [0.9, \"x\"]", "betas: expected an array of numbers"},
      {"betas = []", "betas: expected an array of numbers"},
      {"out", ":1:"},
      {"[make", ":1:"}};
  for (const auto& [text, message] : cases)
    expect_refused({"make", "--out", "x", "--config", config(text)}, 2,
                   at("c.toml") + (message[0] == ':' ? message : ""));
  for (const auto& [text, message] : cases)
    expect_refused({"make", "--out", "x", "--config", config(text)}, 2, message);
  expect_refused({"make", "--out", "x", "--config", at("")}, 2, "is a folder");
  expect_refused({"make", "--out", "x", "--config", at("none.toml")}, 2, "No such file");
  expect_refused({"make", "--out", "x", "--config", ""}, 2, "--config");
}

TEST_F(CliTest, PrintConfigHelpVersion) {
  EXPECT_EQ(run({"make", "--print-config", "--count", "3"}).code, 0);
  const Outcome all = run({"--print-config"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(all.out.find("[make]"), std::string::npos);
  const Outcome help = run({"make", "--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* text : {"Example:", "[default: 100; unit: things; range: 1..1000]", "default: no limit",
                           "range: ddpm, ddim", "--seed", "--threads", "--device", "--config", "--print-config"})
    EXPECT_NE(help.out.find(text), std::string::npos) << text;
  EXPECT_EQ(run({"make", "--help-all"}).out, help.out);  // where no flag is said to be a common one
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out.rfind("dthing " + version_string() + " (", 0), 0u);
}

TEST_F(CliTest, FaultsBecomeExitCodes) {
  expect_refused({"make", "--out", "x", "--device", "cuda"}, 69, "does not run on a GPU");
  const std::vector<Fault> faults = {Fault::kUsage,        Fault::kBadInput, Fault::kMissingInput,
                                     Fault::kNoDevice,     Fault::kInternal, Fault::kOutOfMemory,
                                     Fault::kCannotCreate, Fault::kIo,       Fault::kLocked};
  for (Fault fault : faults) {
    body = [fault]() -> int { throw Error(fault, "two\nlines"); };
    expect_refused({"make", "--out", "x"}, int(fault), "two\\nlines");
  }
  body = []() -> int { throw std::bad_alloc(); };
  expect_refused({"make", "--out", "x"}, 71, "out of memory");
  body = []() -> int { throw std::runtime_error("odd"); };
  expect_refused({"make", "--out", "x"}, 70, "odd");
}

TEST_F(CliTest, ABareProgramWithSubcommandsKeepsTheirFlagsApart) {
  const auto exit_code = [](std::vector<std::string> arguments) {
    std::string out, more = "m";
    int64_t count = 1;
    arguments.insert(arguments.begin(), "dthing");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return run_program(int(argv.size()), argv.data(), {"dthing", "Makes.", "dthing"}, [&](Options& root) {
      root.add("--out", out, "folder", "DIR").required();
      root.add("--count", count, "how many", {1, 100}, "things");
      root.ignore_key("gone");
      root.body([&](const Common& common) {
        EXPECT_EQ(common.resolved_toml.find("[again]"), std::string::npos);
        return int(count) + 10;
      });
      Options& again = root.subcommand("again", "Again.", "dthing again a");
      again.add_positional("from", out, "folder").required();
      again.add("--more", more, "more", "TEXT");
      again.body([&](const Common& common) { return common.program == "dthing again" && out == "a" ? 20 : 1; });
    });
  };
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(exit_code({"--out", "x", "--count", "3"}), 13);
  EXPECT_EQ(exit_code({}), 2);
  EXPECT_EQ(exit_code({"again", "a", "--more", "b"}), 20);
  EXPECT_EQ(exit_code({"--out", "again", "--count", "2"}), 12);
  EXPECT_EQ(exit_code({"again", "a", "--count", "3"}), 2);
  EXPECT_EQ(exit_code({"--count", "3", "again", "a"}), 2);
  EXPECT_EQ(exit_code({"--more", "b", "--out", "x"}), 2);
  const std::string path = config("count = 4\nmore = \"c\"\ngone = 1\n");
  EXPECT_EQ(exit_code({"--out", "x", "--config", path}), 14);
  EXPECT_EQ(exit_code({"again", "a", "--config", path}), 20);
  EXPECT_EQ(exit_code({"again", "a", "--config", config("cuont = 4\n")}), 2);
  ::testing::internal::GetCapturedStderr();
}

int run_and_raise() {
  char name[] = "dthing";
  char* argv[] = {name};
  return run_program(1, argv, {"dthing", "Waits.", "dthing"}, [](Options& options) {
    options.body([](const Common&) {
      if (interrupted()) return 1;
      std::raise(SIGTERM);
      return interrupted() ? interrupt_exit_code() : 2;
    });
  });
}

TEST(CliSignal, IsSeenByTheLoop) { EXPECT_EXIT(std::exit(run_and_raise()), ::testing::ExitedWithCode(143), ""); }

TEST_F(CliTest, RunDirectoryIsHeldByOne) {
  const std::string path = at("run");
  {
    const RunDirectory held(path);
    EXPECT_TRUE(fs::is_directory(path + "/checkpoints"));
    held.write_config("a = 1\n");
    EXPECT_EQ(read_flat_toml(held.file("config.toml")), (std::map<std::string, std::string>{{"a", "1"}}));
    try {
      const RunDirectory second(path);
      ADD_FAILURE() << "two hold one run directory";
    } catch (const Error& error) {
      EXPECT_EQ(error.fault(), Fault::kLocked);
    }
  }
  EXPECT_NO_THROW(RunDirectory again(path));
  write_file_atomic(at("file"), "");
  EXPECT_THROW(RunDirectory below(at("file/run")), Error);
}

TEST_F(CliTest, LogDropsWhatAResumedRunWritesAgain) {
  const std::string path = at("log.jsonl");
  {
    RunLog log(path);
    log.write({{"step", 1}, {"loss", 0.1}});
    log.write({{"step", 2}, {"loss", std::numeric_limits<double>::quiet_NaN()}, {"name", "a\"b"}});
    log.write({{"step", 3}, {"val_bins", std::vector<double>{1, 0.5}}});
  }
  EXPECT_EQ(read_file(path),
            "{\"step\": 1, \"loss\": 0.1}\n{\"step\": 2, \"loss\": null, \"name\": \"a\\\"b\"}\n"
            "{\"step\": 3, \"val_bins\": [1, 0.5]}\n");
  std::ofstream(path, std::ios::app) << "{\"step\": 2, \"lo";  // cut off by a crash
  { RunLog(path, 1).write({{"step", 2}, {"loss", 1e-5}}); }
  EXPECT_EQ(read_file(path), "{\"step\": 1, \"loss\": 0.1}\n{\"step\": 2, \"loss\": 1e-05}\n");
  { RunLog fresh(path); }
  EXPECT_EQ(read_file(path), "");
}

TEST_F(CliTest, DurationsAreReadable) {
  EXPECT_EQ(format_duration(8.54), "8.5 s");
  EXPECT_EQ(format_duration(250), "4 min 10 s");
  EXPECT_EQ(format_duration(2 * 3600 + 180), "2 h 03 min");
}

// dlabel as a user runs it: from pictures to a balanced labels file.
class DlabelTest : public CliTest {
 protected:
  Outcome dlabel(const std::string& arguments) {
    const std::string command = std::string(ECHODIFF_BIN_DIR) + "/dlabel " + arguments + " >" + at("out.txt") + " 2>" +
                                at("err.txt") + " </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(at("out.txt")), read_file(at("err.txt"))};
  }
  void make_pictures() {
    fs::create_directories(folder_ / "images");
    for (int i = 0; i < 10; ++i) {
      GrayImage image{32, 32, std::vector<uint8_t>(32 * 32)};
      for (size_t j = 0; j < image.pixels.size(); ++j)
        image.pixels[j] = uint8_t(j * size_t(i + 1) * 37 % (40 + 20 * i));
      write_png(at("images/" + std::to_string(i) + ".png"), image);
    }
  }
};

TEST_F(DlabelTest, CalibrateScoreReviewApplyBalance) {
  make_pictures();
  const Outcome calibrated = dlabel("calibrate --images " + at("") + " --size 16 --out " + at("t.json"));
  EXPECT_EQ(calibrated.code, 0) << calibrated.err;
  const Outcome scored =
      dlabel("score --images " + at("images") + " --size 16 --thresholds " + at("t.json") + " --out " + at("l.jsonl"));
  EXPECT_EQ(scored.code, 0) << scored.err;
  const std::string labels = read_file(at("l.jsonl"));
  EXPECT_EQ(std::count(labels.begin(), labels.end(), '\n'), 11);
  EXPECT_NE(labels.find("\"file\": \"images/3.png\""), std::string::npos);
  EXPECT_EQ(dlabel("review " + at("l.jsonl") + " --out " + at("r.html")).code, 0);
  write_file_atomic(at("d.json"), R"({"kind": "decisions", "source": "script", "decisions": [
    {"file": "images/3.png", "label": "good"}, {"file": "images/4.png", "label": "poor"}]})");
  EXPECT_EQ(dlabel("apply " + at("l.jsonl") + " " + at("d.json")).code, 0);
  EXPECT_NE(read_file(at("l.jsonl")).find("\"source\": \"script\""), std::string::npos);
  EXPECT_EQ(dlabel("balance " + at("l.jsonl") + " --count 2").code, 0);
  const std::string balanced = read_file(at("l.balanced.jsonl"));
  EXPECT_EQ(std::count(balanced.begin(), balanced.end(), '\n'), 3);
}

TEST_F(DlabelTest, RefusesInOrder) {
  make_pictures();
  write_file_atomic(at("images/5.png"), read_file(at("images/5.png")).substr(0, 60));
  EXPECT_EQ(dlabel("calibrate --images " + at("") + " --size 16 --out " + at("t.json")).code, 65);
  EXPECT_EQ(dlabel("score --images " + at("none") + " --out " + at("l.jsonl")).code, 66);
  EXPECT_EQ(dlabel("score --images " + at("none") + " --device cuda --out " + at("l.jsonl")).code, 69);
  EXPECT_EQ(dlabel("score --images " + at("none") + " --device cuda --tau-noise nan --out " + at("l.jsonl")).code, 2);
  EXPECT_EQ(dlabel("score --images " + at("none") + " --rule band --out " + at("l.jsonl")).code, 2);
  fs::remove(at("images/5.png"));
  EXPECT_EQ(dlabel("score --images " + at("") + " --out " + at("none/l.jsonl")).code, 73);
  EXPECT_EQ(dlabel("calibrate --images " + at("") + " --size 16 --out " + at("t.json")).code, 0);
  const Outcome other =
      dlabel("score --images " + at("") + " --thresholds " + at("t.json") + " --out " + at("l.jsonl"));
  EXPECT_EQ(other.code, 65);
  EXPECT_NE(other.err.find("16x16"), std::string::npos);
  EXPECT_EQ(dlabel("apply " + at("none") + " " + at("none")).code, 66);
}

}  // namespace
}  // namespace echodiff
