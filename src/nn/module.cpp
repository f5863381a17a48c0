#include "nn/module.h"

#include <functional>
#include <map>

#include "nn/init.h"
#include "nn/trace.h"
#include "tensor/autograd.h"

namespace echodiff {
namespace {

using TensorFunction = std::function<void(const std::string& name, Tensor&)>;
using ModuleFunction = std::function<void(const std::string& name, Module&)>;

// Calls those functions that it has.
class FunctionVisitor : public Visitor {
 public:
  FunctionVisitor(TensorFunction parameter, TensorFunction buffer, TensorFunction constant, ModuleFunction module = {})
      : parameter_(std::move(parameter)),
        buffer_(std::move(buffer)),
        constant_(std::move(constant)),
        module_(std::move(module)) {}

 protected:
  void on_parameter(const std::string& name, Tensor& tensor) override { call(parameter_, name, tensor); }
  void on_buffer(const std::string& name, Tensor& tensor) override { call(buffer_, name, tensor); }
  void on_constant(const std::string& name, Tensor& tensor) override { call(constant_, name, tensor); }
  void on_module(const std::string& name, Module& module) override { call(module_, name, module); }

 private:
  template <class F, class T> static void call(const F& f, const std::string& name, T& of) {
    if (f) f(name, of);
  }
  TensorFunction parameter_, buffer_, constant_;
  ModuleFunction module_;
};

void visit_parameters(Module& module, const TensorFunction& f) {
  FunctionVisitor visitor(f, {}, {});
  module.visit(visitor);
}
void visit_tensors(Module& module, const TensorFunction& f) {
  FunctionVisitor visitor(f, f, {});
  module.visit(visitor);
}
// Every floating-point tensor becomes f of it.
void replace_tensors(Module& module, const std::function<Tensor(const Tensor&)>& f) {
  const TensorFunction replace = [&](const std::string&, Tensor& tensor) {
    if (tensor.dtype() == DType::i64) return;
    const Tensor replaced = f(tensor);
    if (replaced.same_as(tensor)) return;
    const bool trained = tensor.requires_grad();
    tensor = replaced;
    tensor.set_requires_grad(trained);
  };
  FunctionVisitor visitor(replace, replace, replace);
  module.visit(visitor);
}
// The module itself (as "") and all below it.
void visit_modules(Module& module, const ModuleFunction& f) {
  FunctionVisitor visitor({}, {}, {}, f);
  visitor.child("", module);
}

}  // namespace

std::string Visitor::path(const std::string& name) const {
  return prefix_.empty() ? name : name.empty() ? prefix_ : prefix_ + "." + name;
}

void Visitor::child(const std::string& name, Module& module) {
  const std::string before = prefix_;
  prefix_ = path(name);
  on_module(prefix_, module);
  module.visit(*this);
  prefix_ = before;
}

std::vector<NamedTensor> Module::parameters() {
  std::vector<NamedTensor> list;
  visit_parameters(*this, [&](const std::string& name, Tensor& tensor) { list.push_back({name, tensor}); });
  return list;
}

StateDict Module::state_dict() {
  StateDict state;
  visit_tensors(*this, [&](const std::string& name, Tensor& tensor) { state.push_back({name, tensor}); });
  return state;
}

int64_t Module::parameter_count() {
  int64_t count = 0;
  visit_parameters(*this, [&](const std::string&, Tensor& tensor) { count += tensor.count(); });
  return count;
}

void Module::load_state_dict(const StateDict& state) {
  std::map<std::string, const Tensor*> given;
  std::ostringstream problems;
  for (const NamedTensor& entry : state)
    if (!given.emplace(entry.name, &entry.tensor).second) problems << "; " << entry.name << " is there twice";
  std::vector<std::pair<Tensor, const Tensor*>> pairs;
  for (const NamedTensor& own : state_dict()) {
    const auto found = given.find(own.name);
    if (found == given.end()) {
      problems << "; " << own.name << " is missing";
      continue;
    }
    if (found->second->shape() != own.tensor.shape())
      problems << "; " << own.name << " is " << found->second->shape() << ", expected " << own.tensor.shape();
    pairs.emplace_back(own.tensor, found->second);
    given.erase(found);
  }
  for (const auto& [name, tensor] : given) problems << "; " << name << " " << tensor->shape() << " is unexpected";
  const std::string list = problems.str();
  check_input(list.empty(), Fault::kBadInput,
              "state dict: does not fit the network: ", list.empty() ? "" : list.substr(2),
              "; use the options the weights were made with");
  const NoGrad no_grad;
  for (auto& [own, source] : pairs) own.copy_from(source->to(own.dtype()));
}

void Module::to(DType dtype) {
  replace_tensors(*this, [&](const Tensor& tensor) { return tensor.to(dtype); });
}
void Module::to(Device device) {
  replace_tensors(*this, [&](const Tensor& tensor) { return tensor.to(device); });
}

Device Module::device() {
  const std::vector<NamedTensor> list = parameters();
  return list.empty() ? Device::kCpu : list[0].tensor.device();
}

void Module::train(bool on) {
  visit_modules(*this, [&](const std::string&, Module& module) { module.training_ = on; });
}

void Module::seed_dropout(uint64_t seed) {
  visit_modules(*this, [&](const std::string&, Module& module) { module.set_dropout_seed(seed); });
}

void Module::initialise(uint64_t seed) {
  const NoGrad no_grad;
  visit_modules(*this, [&](const std::string& name, Module& module) {
    module.name_ = name;
    module.reset_parameters(Initialiser(seed, name));
  });
}

Tensor Module::traced(const std::string& name, Tensor output) const {
  if (ActivationTrace* trace = ActivationTrace::current())
    trace->keep(name_.empty() || name.empty() ? name_ + name : name_ + "." + name, output);
  return output;
}

}  // namespace echodiff
