// The report's style sheet: system fonts, tabular figures, and one set of colours for light and one for dark.
#pragma once

namespace echodiff {

extern const char* const kReportStyle;

}  // namespace echodiff
