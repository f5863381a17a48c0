#include "dreport/comparison.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "dreport/sections/sections.h"
#include "kernels/error.h"
#include "tensor/io/paths.h"

namespace echodiff {
namespace fs = std::filesystem;
namespace {

// Settings that change which trajectories are begun and how they are worked off, not what becomes of one; and those
// that the summary states too, as they were resolved. The table made_by is left out too.
const std::set<std::string> kNotThePolicy = {
    "seed",    "threads",      "device",   "quiet",          "config", "out", "count",    "batch",
    "shard",   "accept",       "trace",    "keep-discarded", "policy", "eta", "guidance", "tau",
    "sampler", "sample-steps", "score-on", "resolved.starts"};  // x_T and all noise, so another hash with each seed

// The setting that names the replayed recording ("simulate" in the version before); nothing for a live run.
std::string recording_key(const SamplingRun& run) {
  for (const char* key : {"recording", "simulate"})
    if (run.config.count(key) != 0) return key;
  return "";
}

Config settings_of(const SamplingRun& run) {
  Config settings = run.config;
  std::erase_if(settings, [](const auto& setting) {
    return kNotThePolicy.count(setting.first) != 0 || setting.first.starts_with("made_by.");
  });
  return settings;
}

// What makes two runs the same experiment but for the seed.
std::string key_of(const SamplingRun& run) {
  std::string key = concat_message(run.policy, "|", run.sampler, "|", run.sample_steps, "|", run.eta, "|", run.guidance,
                                   "|", run.score_on, "|", run.tau);
  for (const auto& [name, value] : settings_of(run)) key += concat_message("|", name, "=", value);
  return key;
}

// The run's policy, and as few of its settings as tell it from other experiments with the same policy.
std::string name_of(const SamplingRun& run, const RunSet& runs) {
  std::string name = policy_text(run);
  std::vector<const SamplingRun*> alike;  // other experiments that the name so far fits too
  for (const SamplingRun& other : runs.sampling)
    if (policy_text(other) == name && key_of(other) != key_of(run)) alike.push_back(&other);
  const auto tell = [&](const std::string& words, auto same) {
    if (std::erase_if(alike, [&](const SamplingRun* other) { return !same(*other); }) > 0) name += ", " + words;
  };
  const auto tell_number = [&](const std::string& symbol, double SamplingRun::*member) {
    tell(symbol + " " + compact(run.*member), [&](const SamplingRun& other) {
      return other.*member == run.*member || (std::isnan(other.*member) && std::isnan(run.*member));
    });
  };
  tell_number("η", &SamplingRun::eta);
  tell_number("guidance", &SamplingRun::guidance);
  tell_number("τ", &SamplingRun::tau);
  tell(run.score_on == "xt" ? "on x_t" : "on " + run.score_on,
       [&](const SamplingRun& other) { return other.score_on == run.score_on; });
  const Config settings = settings_of(run);
  const auto tell_setting = [&](const std::string& key, const std::string& value) {
    tell(key + " " + last_part(value), [&](const SamplingRun& other) {
      const Config::const_iterator theirs = other.config.find(key);
      return theirs != other.config.end() && theirs->second == value;
    });
  };
  if (const std::string key = recording_key(run); !key.empty()) tell_setting(key, settings.at(key));
  for (const auto& [key, value] : settings) tell_setting(key, value);
  return name;
}

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words;
  for (size_t start = 0; start <= name.size();) {
    const size_t end = std::min(name.find(", ", start), name.size());
    words.push_back(name.substr(start, end - start));
    start = end + 2;
  }
  return words;
}

// Leaves out what every name says, such as the sampler and its steps; the policy itself stays.
void shorten_names(std::vector<PolicyResult>& results) {
  std::vector<std::vector<std::string>> words;
  for (const PolicyResult& result : results) words.push_back(words_of(result.name));
  const auto in_all = [&](const std::string& word) {
    return std::all_of(words.begin(), words.end(), [&](const std::vector<std::string>& one) {
      return std::find(one.begin(), one.end(), word) != one.end();
    });
  };
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].short_name = words[i].front();
    for (size_t j = 1; j < words[i].size(); ++j)
      if (!in_all(words[i][j])) results[i].short_name += ", " + words[i][j];
  }
}

void sum_up(PolicyResult& result) {
  std::vector<std::map<int64_t, RatioTerm>> per_accepted, per_kept, per_good;  // by unit
  int64_t good = 0, measured = 0, missed = 0, seen = 0;
  double calls = 0, seconds = 0;
  std::set<std::vector<uint8_t>> pictures;
  std::set<std::string> masks, reached;
  for (const SamplingRun* run : result.runs) {
    std::map<int64_t, RatioTerm>& accepted = per_accepted.emplace_back();
    std::map<int64_t, RatioTerm>& each = per_kept.emplace_back();
    std::map<int64_t, RatioTerm>& fine = per_good.emplace_back();
    for (const Sample& sample : run->samples) {
      ++result.trajectories;
      const bool kept = sample.kept(), is_new = kept && pictures.insert(sample.image.pixels).second;
      const bool looks_good = sample.metrics && sample.looks_good();
      if (!sample.mask.empty()) masks.insert(sample.mask);
      if (!sample.mask.empty() && kept) reached.insert(sample.mask);
      result.accepted += kept;
      result.distinct += is_new;
      if (sample.good && kept) ++measured, good += looks_good;
      if (sample.good && !kept) ++seen, missed += looks_good;
      const int64_t unit = run->unit.of(sample.index);
      accepted[unit] += {sample.calls, is_new ? 1.0 : 0.0};
      each[unit] += {sample.calls, kept ? 1.0 : 0.0};
      fine[unit] += {sample.calls, is_new && looks_good ? 1.0 : 0.0};
      calls += sample.calls;
    }
    seconds += run->seconds;
  }
  result.acceptance = wilson(result.accepted, result.trajectories);
  result.precision = wilson(good, measured);
  result.missed = wilson(missed, seen);
  result.calls_per_accepted = ratio_of_sums(per_accepted);
  if (measured > 0) result.calls_per_good = ratio_of_sums(per_good);
  result.calls_per_kept = ratio_of_sums(per_kept);
  const double pace = seconds / calls;
  const auto in_seconds = [pace](const Estimate& cost) {
    return Estimate{cost.value * pace, cost.low * pace, cost.high * pace};
  };
  result.seconds_per_accepted = in_seconds(result.calls_per_accepted);
  result.seconds_per_kept = in_seconds(result.calls_per_kept);
  result.masks_reached = wilson(int64_t(reached.size()), int64_t(masks.size()));
}

}  // namespace

// Old summaries don't say that they are replays.
bool is_live(const PolicyResult& result) {
  const SamplingRun& run = *result.runs.front();
  return !run.replayed && recording_key(run).empty();
}

size_t shared_runs(const PolicyResult& policy, const EvaluatedRun& run) {
  const auto canonical = [](const std::string& path) { return fs::weakly_canonical(fs::absolute(path)).string(); };
  std::vector<std::string> folders;
  for (const SamplingRun* one : policy.runs) folders.push_back(canonical(one->place.path));
  for (const std::string& folder : run.folders)
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) return 0;
  return run.folders.size();
}

EvaluatedPolicy evaluated(const PolicyResult& policy, const std::vector<Evaluation>& evaluations) {
  EvaluatedPolicy found;
  for (const Evaluation& evaluation : evaluations)
    for (const EvaluatedRun& run : evaluation.runs)
      if (shared_runs(policy, run) > (found.run == nullptr ? 0 : found.run->folders.size()))
        found = {&evaluation, &run};
  return found;
}

const PolicyResult* cheapest(const std::vector<PolicyResult>& results, bool (*counts)(const PolicyResult&)) {
  const PolicyResult* best = nullptr;
  for (const PolicyResult& result : results)
    if (is_live(result) && counts(result) &&
        (best == nullptr || result.calls_per_kept.value < best->calls_per_kept.value))
      best = &result;
  return best;
}

const PolicyResult* baseline_of(const std::vector<PolicyResult>& results) {
  return cheapest(results, [](const PolicyResult& result) {
    return result.runs.front()->policy == "posthoc" && result.runs.front()->shallow_call_cost == 1;
  });
}

namespace {

// Calls and kept pictures of each mask.
std::map<std::string, RatioTerm> by_mask(const PolicyResult& result) {
  std::map<std::string, RatioTerm> masks;
  for (const SamplingRun* run : result.runs)
    for (const Sample& sample : run->samples) masks[sample.mask] += {sample.calls, sample.kept() ? 1.0 : 0.0};
  return masks;
}

Estimate times(const PolicyResult& result, const PolicyResult& baseline) {
  const std::map<std::string, RatioTerm> ours = by_mask(result), theirs = by_mask(baseline);
  std::vector<PairedTerm> units;
  for (const auto& [mask, term] : ours)
    if (theirs.count(mask) != 0) units.push_back({term, theirs.at(mask)});
  return units.size() == ours.size() && units.size() == theirs.size() ? ratio_of_ratios(units) : Estimate{};
}

}  // namespace

std::vector<PolicyResult> compare_policies(const RunSet& runs) {
  std::vector<PolicyResult> results;
  std::vector<std::string> keys;
  for (const SamplingRun& run : runs.sampling) {
    if (run.samples.empty()) continue;
    const size_t place = size_t(std::find(keys.begin(), keys.end(), key_of(run)) - keys.begin());
    if (place == keys.size()) {
      keys.push_back(key_of(run));
      results.emplace_back().name = name_of(run, runs);
    }
    results[place].runs.push_back(&run);
  }
  shorten_names(results);
  for (PolicyResult& result : results) sum_up(result);
  if (const PolicyResult* baseline = baseline_of(results))
    for (PolicyResult& result : results)
      if (&result != baseline && is_live(result) && result.guided()) result.times_baseline = times(result, *baseline);
  return results;
}

}  // namespace echodiff
