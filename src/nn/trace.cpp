#include "nn/trace.h"

namespace echodiff {
namespace {

thread_local ActivationTrace* innermost = nullptr;

}  // namespace

ActivationTrace::ActivationTrace() : outer_(innermost) { innermost = this; }
ActivationTrace::~ActivationTrace() { innermost = outer_; }
ActivationTrace* ActivationTrace::current() { return innermost; }

}  // namespace echodiff
