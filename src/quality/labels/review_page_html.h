// The review page's own text: the document up to its data, and what comes after them.
#pragma once

namespace echodiff {

extern const char* const kReviewPageHead;  // ends with "const data = "
extern const char* const kReviewPageTail;  // begins with ";"

}  // namespace echodiff
