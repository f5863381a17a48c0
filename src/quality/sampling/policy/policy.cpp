#include "quality/sampling/policy/policy.h"

namespace echodiff {

const char* name_of(ScoreOn on) { return on == ScoreOn::xt ? "xt" : "x0hat"; }
ScoreOn parse_score_on(const std::string& name) { return name == "xt" ? ScoreOn::xt : ScoreOn::x0hat; }

}  // namespace echodiff
