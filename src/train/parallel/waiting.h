// How a rank waits for another's answer.
#pragma once

#include <functional>

#include "tensor/observe.h"

namespace echodiff {

// Asks `answered` until it says yes. Polite to ranks that share a core: it sleeps between its looks once the answer is
// late. Throws Stopped where `interrupted` says that a signal came and the answer is not there half a second later,
// and what both throw.
void wait_until(const std::function<bool()>& answered, const std::function<bool()>& interrupted);

}  // namespace echodiff
