#!/usr/bin/env python3
"""Makes the seeds of corpus/gguf and corpus/safetensors: small right files that the fuzzers start from.

Needs nothing but Python. Usage: make_model_corpus.py [FOLDER], the folder of the corpora.
"""
import json
import pathlib
import struct
import sys

U32, F32, BOOL, TEXT, ARRAY, U64 = 4, 6, 7, 8, 9, 10


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, item):
    if kind == TEXT:
        return text(item)
    if kind == ARRAY:
        element, items = item
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, i) for i in items)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<B", U64: "<Q"}[kind], item)


def gguf(keys, tensors, version=3, alignment=32):
    """tensors: (name, type number, shape with the outermost dimension first, bytes)."""
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for name, kind, item in keys:
        out += text(name) + struct.pack("<I", kind) + value(kind, item)
    data = b""
    for name, kind, shape, raw in tensors:
        data += b"\0" * (-len(data) % alignment)
        out += text(name) + struct.pack("<I", len(shape))
        out += b"".join(struct.pack("<Q", size) for size in reversed(shape))
        out += struct.pack("<IQ", kind, len(data))
        data += raw
    return out + b"\0" * (-len(out) % alignment) + data


def zeros(name, *shape):
    count = 1
    for size in shape:
        count *= size
    return (name, 0, shape, b"\0" * (4 * count))


def llama():
    keys = [
        ("general.architecture", TEXT, "llama"), ("llama.block_count", U32, 1), ("llama.context_length", U32, 16),
        ("llama.embedding_length", U32, 8), ("llama.feed_forward_length", U32, 8),
        ("llama.attention.head_count", U32, 2), ("llama.attention.head_count_kv", ARRAY, (U32, [1])),
        ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5), ("llama.rope.freq_base", F32, 10000.0),
        ("tokenizer.ggml.model", TEXT, "llama"), ("tokenizer.ggml.tokens", ARRAY, (TEXT, ["<unk>", "a", "b"])),
        ("tokenizer.ggml.scores", ARRAY, (F32, [0.0, -1.0, -2.0])), ("tokenizer.ggml.token_type", ARRAY, (U32, [2, 1, 1])),
        ("tokenizer.ggml.add_bos_token", BOOL, 1), ("tokenizer.ggml.eos_token_id", U32, 2),
    ]
    b = "blk.0."
    tensors = [zeros("token_embd.weight", 3, 8), zeros("output_norm.weight", 8), zeros(b + "attn_norm.weight", 8),
               zeros(b + "attn_q.weight", 8, 8), zeros(b + "attn_k.weight", 4, 8), zeros(b + "attn_v.weight", 4, 8),
               zeros(b + "attn_output.weight", 8, 8), zeros(b + "ffn_norm.weight", 8), zeros(b + "ffn_gate.weight", 8, 8),
               zeros(b + "ffn_up.weight", 8, 8), zeros(b + "ffn_down.weight", 8, 8)]
    return gguf(keys, tensors)


def safetensors(tensors, metadata=None):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, kind, shape, raw in tensors:
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    raw = json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
    files = {
        "gguf/llama": llama(),
        "gguf/version2": gguf([("a", U64, 1)], [("t", 2, (1, 32), b"\0" * 18)], version=2),
        "gguf/lists": gguf([("l", ARRAY, (ARRAY, [(TEXT, ["x"]), (U32, [1, 2])])), ("general.alignment", U32, 64)],
                           [zeros("t", 2, 2), zeros("empty", 0)], alignment=64),
        "gguf/empty": gguf([], []),
        "safetensors/two": safetensors([("a", "F32", [1, 2], b"\0" * 8), ("b", "BF16", [], b"\0\0")], {"format": "pt"}),
        "safetensors/mask": safetensors([("m.bias", "BOOL", [2, 0], b""), ("\u00e9", "I64", [1], b"\0" * 8)]),
        "safetensors/config.json": json.dumps(
            {"model_type": "llama", "rope_scaling": {"rope_type": "yarn", "factor": 4.0}, "layer_types": ["a", "b"],
             "eos_token_id": [1, 2], "nested": [{"x": [1]}, [2], None]}).encode(),
    }
    for name, raw in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)


if __name__ == "__main__":
    main()
