// The classes and functions a pickle may name. Naming one gives a mark that the machine knows how to treat; nothing is
// ever looked up, imported or called.
#pragma once

#include <string>
#include <string_view>

#include "tensor/io/stored.h"

namespace echodiff {

enum class PickleGlobal : uint8_t {
  kDict,              // collections.OrderedDict, Counter
  kSet,               // set, frozenset
  kEncode,            // _codecs.encode(text, "latin1"): how protocol 2 writes bytes
  kSize,              // torch.Size
  kDevice,            // torch.device
  kTensorType,        // torch.Tensor, torch.nn.Parameter: an argument of _rebuild_from_type_v2
  kDType,             // torch.float16
  kStorage,           // torch.FloatStorage
  kUntypedStorage,    // torch.UntypedStorage: counts bytes
  kRebuildTensor,     // (storage, offset, size, stride)
  kRebuildTensorV2,   // + requires_grad, backward_hooks[, metadata]
  kRebuildTensorV3,   // + requires_grad, backward_hooks, dtype[, metadata]
  kRebuildParameter,  // (tensor, requires_grad, backward_hooks[, state])
  kRebuildFromType,   // (function, type, its arguments, state)
  kRebuildOnDevice,   // (tensor, dtype, device, requires_grad)
  kInert,             // argparse.Namespace, numpy scalars: kept as a record of what they hold
};

struct KnownGlobal {
  std::string_view module, name;
  PickleGlobal what;
  StoredType type = StoredType::f32;  // of kStorage and kDType
};

// Throws Error(kBadInput), starting with `where` ("F: byte 12"), for anything else: it says what it is and, for
// modules and files that need their code, how to export the weights.
const KnownGlobal& known_global(std::string_view module, std::string_view name, const std::string& where);

// "in Python: ...": three statements that save a file's weights alone.
extern const char* const kExportModule;       // for a whole module
extern const char* const kExportTorchScript;  // for a TorchScript archive

}  // namespace echodiff
