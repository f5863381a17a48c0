// Checkpoints in a run directory: one safetensors file each, sealed by hashes, and a text file that names the newest.
//
//   RUN/checkpoints/step-00000100.safetensors   NAME: raw weights; ema.NAME; train.*: what going on needs
//   RUN/checkpoints/latest                      "step-00000100.safetensors"; RUN/latest is a link to it
//
// The metadata holds `xxh3/NAME`, the XXH3-64 of each tensor's row-major bytes, and `xxh3`, that of the file's length
// field and header with this one value as zeros. So every byte is covered, and the file stays plain safetensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/safetensors.h"

namespace echodiff {

using Metadata = std::map<std::string, std::string>;

// The file's bytes with all hashes filled in: a function of the arguments alone.
std::string encode_checkpoint(const std::vector<NamedTensor>& tensors, const Metadata& metadata);
// The same with tensor i stored as types[i].
std::string encode_checkpoint(const std::vector<NamedTensor>& tensors, const std::vector<StoredType>& types,
                              Metadata metadata);

// Whether some key of a file's metadata is one of encode_checkpoint's hashes: one damaged key leaves the others.
bool carries_seal(const Metadata& metadata);

// Reads a file that encode_checkpoint made; the hashes are taken out of its metadata. Throws Error: kMissingInput;
// kBadInput when any bit differs from what was written, or it was not made here.
SafetensorsFile read_sealed(const std::string& path);
SafetensorsFile parse_sealed(const std::string& bytes, const std::string& path);  // `path` is for messages
// The same of weights: none may be a NaN or infinity.
SafetensorsFile read_checkpoint(const std::string& path);
SafetensorsFile parse_checkpoint(const std::string& bytes, const std::string& path);

// The same for any safetensors file: one that carries a seal is held to it, and to finite numbers.
SafetensorsFile read_weights(const std::string& path);
SafetensorsFile parse_weights(const std::string& bytes, const std::string& path);

// In the metadata of a checkpoint from the midst of a judge's training.
constexpr const char* kUnfinished = "unfinished";
// Throws Error(kBadInput) for such a checkpoint, unless that is allowed.
void require_finished(const SafetensorsFile& file, bool allow_unfinished);

// Writes the checkpoint, then `latest`, each whole or not at all, then removes all but the newest `keep` (0: keeps
// all). A crash at any point leaves the old state or the new one. Refuses tensors that hold NaN or infinity
// (kInternal); kCannotCreate or kIo when writing fails. Tensors on a device are copied to the host first. Returns the
// path.
std::string save_checkpoint(const std::string& run, int64_t step, std::vector<NamedTensor> tensors,
                            const Metadata& metadata, int64_t keep);

// The XXH3-64 of bytes in hexadecimal, and of a file's: names a checkpoint whatever its path.
std::string bytes_hash(std::string_view bytes);
std::string file_hash(const std::string& path);

// The path of the checkpoint that `latest` names; "" when the run has none yet. Throws Error(kBadInput) when `latest`
// is not a checkpoint's name.
std::string latest_checkpoint(const std::string& run);

// The newest checkpoint where `latest` is lost; "" where it is there, and where there is none. What the first save of a
// run leaves when it is killed before it has written `latest` is none.
std::string stray_checkpoint(const std::string& run);

// The tensors whose names start with `prefix`, without it.
std::vector<NamedTensor> with_prefix(const std::vector<NamedTensor>& tensors, const std::string& prefix);
// The raw weights: neither "ema." nor "train.".
std::vector<NamedTensor> raw_weights(const std::vector<NamedTensor>& tensors);
// The tensors renamed to prefix + name.
std::vector<NamedTensor> add_prefix(const std::string& prefix, std::vector<NamedTensor> tensors);

// Throws Error(fault) naming the first tensor with a NaN or infinity, and `where`.
void require_finite(const std::vector<NamedTensor>& tensors, Fault fault, const std::string& where);

}  // namespace echodiff
