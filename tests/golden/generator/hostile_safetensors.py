"""Safetensors files with damaged and unusual headers."""
import json
import struct

import torch


def tensor(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def rows(data, base):
    """(file, bytes, verdict, why, values) of each; `data`: the 24 bytes of `base`, six float32."""
    six, flat = tensor([6], 0, 24), base.flatten()
    one = b'{"dtype":"F32","shape":[6],"data_offsets":[0,24]}'
    twice = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},"a":{"dtype":"F32","shape":[3],"data_offsets":[12,24]}}'
    accepted = [
        ("st_good", file_of({"__metadata__": {"format": "pt"}, "a": tensor([2, 3], 0, 24), "b": tensor([], 24, 28)}, data + data[4:8]),
         "two tensors and metadata", {"a": base, "b": torch.tensor(1.0)}),
        ("st_padded_header", file_of(json.dumps({"a": six}).encode() + b"     ", data),
         "header padded with spaces (the usual writer)", {"a": flat}),
        ("st_empty_tensor", file_of({"a": tensor([0, 4], 0, 0), "b": six}, data), "shape [0,4]", {"a": torch.zeros(0, 4), "b": flat}),
        ("st_no_tensors", file_of({}), "header {}", {}),
        ("st_escaped_name", file_of(b'{"\\u0061\\"\\\\\\ud83d\\ude00":' + one + b"}", data),
         'JSON escapes in the name: \\u0061 \\" \\\\ and a surrogate pair', {'a"\\\U0001f600': flat}),
        ("st_unsorted", file_of({"b": tensor([3], 12, 24), "a": tensor([3], 0, 12)}, data),
         "header order differs from offset order", {"a": torch.arange(3.0), "b": torch.arange(3.0, 6.0)}),
    ]
    rejected = [
        ("st_overlap", file_of({"a": six, "b": tensor([3], 12, 24)}, data), "offsets overlap"),
        ("st_hole", file_of({"a": tensor([3], 0, 12), "b": tensor([2], 16, 24)}, data),
         "4 unindexed bytes between tensors (the reference reader refuses)"),
        ("st_trailing", file_of({"a": tensor([3], 0, 12)}, data), "bytes after the last tensor"),
        ("st_offset_past_end", file_of({"a": tensor([600], 0, 2400)}, data), "offsets past the file's end"),
        ("st_begin_gt_end", file_of({"a": tensor([6], 24, 0)}, data), "begin > end"),
        ("st_negative_offset", file_of({"a": tensor([6], -24, 0)}, data), "negative offset"),
        ("st_size_mismatch", file_of({"a": tensor([5], 0, 24)}, data), "shape x dtype is not end-begin"),
        ("st_negative_shape", file_of({"a": tensor([-2, -3], 0, 24)}, data), "negative dimension"),
        ("st_shape_overflow", file_of({"a": tensor([1 << 62, 4, 6], 0, 24)}, data), "product overflows to 24 bytes mod 2^64"),
        ("st_float_shape", file_of({"a": tensor([6.0], 0, 24)}, data), "shape [6.0]"),
        ("st_dtype_unknown", file_of({"a": tensor([6], 0, 24, "F33")}, data), "dtype F33"),
        ("st_missing_dtype", file_of({"a": {"shape": [6], "data_offsets": [0, 24]}}, data), "no dtype"),
        ("st_offsets_three", file_of({"a": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24, 24]}}, data),
         "data_offsets has 3 numbers"),
        ("st_header_huge", file_of(b"{}", length=(1 << 64) - 1), "header length 2^64-1"),
        ("st_header_past_end", file_of(b"{}", length=5000), "header length longer than the file"),
        ("st_header_zero", file_of(b"", data), "header length 0"),
        ("st_header_not_json", file_of(b"hello world!!", data), "header is not JSON"),
        ("st_header_array", file_of(b"[1,2,3]", data), "header is a JSON array"),
        ("st_header_truncated_json", file_of(b'{"a":{"dtype":"F32","shape":[6],"data_off', data), "JSON cut"),
        ("st_header_bad_utf8", file_of(b'{"\xff\xfe":' + one + b"}", data), "invalid UTF-8 in a name"),
        ("st_duplicate_key", file_of(twice, data), "the name 'a' twice"),
        ("st_metadata_not_string", file_of({"__metadata__": {"n": 1}, "a": six}, data), "__metadata__ value is a number"),
        ("st_number_huge", file_of(b'{"a":{"dtype":"F32","shape":[6],"data_offsets":[0,1e400]}}', data), "offset 1e400"),
        ("st_7bytes", b"\x01\0\0\0\0\0\0", "7 bytes"),
        ("st_empty_file", b"", "0 bytes"),
    ]
    for name, content, why, values in accepted:
        yield name + ".safetensors", content, "accept", why, values
    for name, content, why in rejected:
        yield name + ".safetensors", content, "reject", why, None
