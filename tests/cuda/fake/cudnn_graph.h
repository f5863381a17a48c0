// cuDNN's backend descriptors as the fake keeps them, and the graphs that it can run: a convolution's forward pass or
// one of its gradients, with a pointwise addition behind it.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace fake_cuda {

struct Object;
struct Attribute {
  cudnnBackendAttributeType_t type;
  int64_t count;
  std::vector<char> bytes;
  std::vector<std::shared_ptr<Object>> objects;  // where the type is a descriptor
};
struct Object {
  cudnnBackendDescriptorType_t type;
  bool finalized = false;
  std::map<int, Attribute> attributes;
  int engine = 0;                 // of an engine and its configuration
  std::shared_ptr<Object> graph;  // that the engine runs
  bool refused = false;           // of an operation graph: no engine is offered for it

  bool has(cudnnBackendAttributeName_t name) const { return attributes.count(name) > 0; }
  // Of an attribute that is there.
  template <class V> V value(cudnnBackendAttributeName_t name, int64_t i = 0) const {
    return reinterpret_cast<const V*>(attributes.at(name).bytes.data())[i];
  }
  const Object& object(cudnnBackendAttributeName_t name, int64_t i = 0) const {
    return *attributes.at(name).objects[size_t(i)];
  }
};

// The engines that the heuristics offer, by their global index. All compute the same, but that one rounds.
enum Engine { kRoundsInputs = 1, kNondeterministic = 2, kPlain = 3, kEngineCount = 4 };
int64_t workspace_of(int engine);    // bytes
double milliseconds_of(int engine);  // that a run takes

// What the documentation asks of an operation graph.
cudnnStatus_t check_graph(const Object& graph, std::string& why);
// pack: a finalized variant pack.
cudnnStatus_t run_graph(const Object& graph, int engine, const Object& pack, std::string& why);

}  // namespace fake_cuda
