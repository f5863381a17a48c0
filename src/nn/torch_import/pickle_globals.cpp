#include "nn/torch_import/pickle_globals.h"

#include <algorithm>

#include "tensor/io/text.h"

namespace echodiff {
namespace {

using Global = PickleGlobal;

constexpr KnownGlobal kKnown[] = {
    {"collections", "OrderedDict", Global::kDict},
    {"collections", "Counter", Global::kDict},
    {"builtins", "set", Global::kSet},
    {"__builtin__", "set", Global::kSet},
    {"builtins", "frozenset", Global::kSet},
    {"__builtin__", "frozenset", Global::kSet},
    {"_codecs", "encode", Global::kEncode},
    {"torch", "Size", Global::kSize},
    {"torch", "device", Global::kDevice},
    {"torch", "Tensor", Global::kTensorType},
    {"torch.nn.parameter", "Parameter", Global::kTensorType},
    {"torch.nn.parameter", "Buffer", Global::kTensorType},
    {"torch._utils", "_rebuild_tensor", Global::kRebuildTensor},
    {"torch._utils", "_rebuild_tensor_v2", Global::kRebuildTensorV2},
    {"torch._utils", "_rebuild_tensor_v3", Global::kRebuildTensorV3},
    {"torch._utils", "_rebuild_parameter", Global::kRebuildParameter},
    {"torch._utils", "_rebuild_parameter_with_state", Global::kRebuildParameter},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Global::kRebuildOnDevice},
    {"torch._tensor", "_rebuild_from_type_v2", Global::kRebuildFromType},
    {"torch", "UntypedStorage", Global::kUntypedStorage},
    {"torch.storage", "UntypedStorage", Global::kUntypedStorage},
    {"argparse", "Namespace", Global::kInert},
    {"numpy", "dtype", Global::kInert},
    {"numpy.core.multiarray", "scalar", Global::kInert},
    {"numpy._core.multiarray", "scalar", Global::kInert},
    {"torch", "FloatStorage", Global::kStorage, StoredType::f32},
    {"torch", "DoubleStorage", Global::kStorage, StoredType::f64},
    {"torch", "HalfStorage", Global::kStorage, StoredType::f16},
    {"torch", "BFloat16Storage", Global::kStorage, StoredType::bf16},
    {"torch", "LongStorage", Global::kStorage, StoredType::i64},
    {"torch", "IntStorage", Global::kStorage, StoredType::i32},
    {"torch", "ShortStorage", Global::kStorage, StoredType::i16},
    {"torch", "CharStorage", Global::kStorage, StoredType::i8},
    {"torch", "ByteStorage", Global::kStorage, StoredType::u8},
    {"torch", "BoolStorage", Global::kStorage, StoredType::boolean},
    {"torch", "float32", Global::kDType, StoredType::f32},
    {"torch", "float64", Global::kDType, StoredType::f64},
    {"torch", "float16", Global::kDType, StoredType::f16},
    {"torch", "bfloat16", Global::kDType, StoredType::bf16},
    {"torch", "int64", Global::kDType, StoredType::i64},
    {"torch", "int32", Global::kDType, StoredType::i32},
    {"torch", "int16", Global::kDType, StoredType::i16},
    {"torch", "int8", Global::kDType, StoredType::i8},
    {"torch", "uint64", Global::kDType, StoredType::u64},
    {"torch", "uint32", Global::kDType, StoredType::u32},
    {"torch", "uint16", Global::kDType, StoredType::u16},
    {"torch", "uint8", Global::kDType, StoredType::u8},
    {"torch", "bool", Global::kDType, StoredType::boolean},
};

constexpr const char* kExportPersistent =
    "load it with the code it came with, in Python: import pickle, torch; "
    "net = pickle.load(open(\"FILE\", \"rb\"))[\"ema\"]; torch.save(net.state_dict(), \"weights.pt\")";

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// Modules whose functions have no business in any checkpoint.
bool runs_code(std::string_view module) {
  constexpr std::string_view kModules[] = {"os",          "posix",  "nt",         "subprocess", "builtins",
                                           "__builtin__", "sys",    "shutil",     "socket",     "importlib",
                                           "runpy",       "pty",    "commands",   "types",      "marshal",
                                           "pickle",      "ctypes", "webbrowser", "operator",   "functools"};
  const std::string_view top = module.substr(0, module.find('.'));
  return std::find(std::begin(kModules), std::end(kModules), top) != std::end(kModules);
}

// What is known of a name that is refused, and what to do.
std::string advice_for(std::string_view module, std::string_view name) {
  if (module.starts_with("torch_utils.persistence"))
    return concat_message(": an EDM or StyleGAN pickle with its source code inside, not weights; ", kExportPersistent);
  if (module.starts_with("__torch__")) return concat_message(": TorchScript, not weights; ", kExportTorchScript);
  if (has(name, "sparse")) return ": a sparse tensor; save it .to_dense()";
  if (has(name, "qtensor") || name.starts_with("Q") || name.starts_with("q"))
    if (module.starts_with("torch")) return ": a quantised tensor; save it .dequantize()d";
  if (name == "_rebuild_meta_tensor_no_storage") return ": a tensor on the meta device has no values; save a real one";
  if (has(name, "nested_tensor")) return ": a nested tensor; save its parts, or .to_padded_tensor(0)";
  if (module == "torch" && (name.ends_with("Storage") || has(name, "float8") || has(name, "complex") ||
                            has(name, "int") || has(name, "float") || has(name, "bits")))
    return ": a dtype that is not read, expected float64, float32, float16, bfloat16, bool or an integer of 8 to 64 "
           "bits; save it as one of these";
  if (module.starts_with("torch.nn.") || module.starts_with("torchvision.models") || module.starts_with("diffusers"))
    return concat_message(": a whole pickled module, not weights; ", kExportModule);
  if (runs_code(module))
    return ", which no weights need: whoever unpickles this file runs its code; do not load it with anything";
  return concat_message(", which is not on the list of data that weights need; if you trust the file's source, ",
                        kExportModule);
}

}  // namespace

const char* const kExportModule =
    "in Python: import torch; m = torch.load(\"FILE\", weights_only=False); torch.save(m.state_dict() if hasattr(m, "
    "\"state_dict\") else m[\"state_dict\"], \"weights.pt\")";
const char* const kExportTorchScript =
    "in Python: import torch; m = torch.jit.load(\"FILE\"); torch.save(m.state_dict(), \"weights.pt\")";

const KnownGlobal& known_global(std::string_view module, std::string_view name, const std::string& where) {
  if (module == "torch.cuda" && name.ends_with("Storage")) module = "torch";  // how PyTorch 0.x saved from a GPU
  const KnownGlobal* found = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const KnownGlobal& known) {
    return known.module == module && known.name == name;
  });
  if (found != std::end(kKnown)) return *found;
  throw Error(Fault::kBadInput, concat_message(where, ": names ", in_quotes(concat_message(module, ".", name)),
                                               advice_for(module, name)));
}

}  // namespace echodiff
