#!/usr/bin/env python3
"""Makes the seeds of corpus/gguf, corpus/safetensors, corpus/pytorch, corpus/mlc and corpus/old_ggml: small right files that the fuzzers start from.

Needs nothing but Python. Usage: make_model_corpus.py [FOLDER], the folder of the corpora.
"""
import argparse
import collections
import io
import json
import math
import pathlib
import pickle
import struct
import sys
import types
import zipfile

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


# torch.save without torch: Python's own pickler over classes that carry the names of torch's.
def torch_module():
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ["FloatStorage", "HalfStorage", "BFloat16Storage", "LongStorage", "BoolStorage"]:
        setattr(torch, name, type(name, (), {"__module__": "torch"}))
    for name in ["_rebuild_tensor_v2", "_rebuild_parameter"]:
        function = types.FunctionType((lambda *a: None).__code__, {}, name)
        function.__module__, function.__qualname__ = "torch._utils", name
        setattr(utils, name, function)
    sys.modules.update({"torch": torch, "torch._utils": utils})
    return torch, utils


TORCH, UTILS = torch_module()


class Storage:
    def __init__(self, key, kind, element, raw):
        self.key, self.kind, self.count, self.raw = str(key), getattr(TORCH, kind), len(raw) // element, raw


class Tensor:
    def __init__(self, storage, size, stride=None, offset=0, parameter=False):
        if stride is None:
            stride = tuple(math.prod(size[i + 1:]) for i in range(len(size)))
        self.parts, self.parameter = (storage, offset, tuple(size), tuple(stride), False, collections.OrderedDict()), parameter

    def __reduce__(self):
        if self.parameter:
            return UTILS._rebuild_parameter, (Tensor(*self.parts[:1], self.parts[2], self.parts[3], self.parts[1]), True,
                                              collections.OrderedDict())
        return UTILS._rebuild_tensor_v2, self.parts


class Pickler(pickle.Pickler):
    """`old`: storages have a sixth part, None, as before PyTorch 1.6."""

    def __init__(self, file, old):
        super().__init__(file, protocol=2)
        self.old, self.storages = old, {}

    def persistent_id(self, item):
        if not isinstance(item, Storage):
            return None
        self.storages[item.key] = item
        return ("storage", item.kind, item.key, "cpu", item.count) + ((None,) if self.old else ())


def pickled(item, old):
    file = io.BytesIO()
    pickler = Pickler(file, old)
    pickler.dump(item)
    return file.getvalue(), pickler.storages


def torch_zip(item, root="archive"):
    data, storages = pickled(item, False)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        members = [("data.pkl", data), ("byteorder", b"little")]
        members += [(f"data/{key}", storage.raw) for key, storage in storages.items()] + [("version", b"3\n")]
        for name, raw in members:
            archive.writestr(zipfile.ZipInfo(f"{root}/{name}", (1980, 0, 0, 0, 0, 0)), raw)
    return file.getvalue()


def torch_legacy(item):
    data, storages = pickled(item, True)
    out = b"".join(pickle.dumps(part, protocol=2) for part in [
        0x1950A86A20F9469CFC6C, 1001,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}])
    out += data + pickle.dumps(list(storages), protocol=2)
    for storage in storages.values():
        out += struct.pack("<q", storage.count) + storage.raw
    return out


def floats(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def state_dict():
    shared = Storage(0, "FloatStorage", 4, floats(1, 2, 3, 4, 5, 6))
    state = collections.OrderedDict()
    state["a.weight"] = Tensor(shared, (2, 3), parameter=True)
    state["tied"] = Tensor(shared, (2, 3))
    state["turned"] = Tensor(shared, (3, 2), stride=(1, 3))
    state["last"] = Tensor(shared, (2,), offset=4)
    state["one"] = Tensor(shared, (), offset=2)
    state["half"] = Tensor(Storage(1, "HalfStorage", 2, struct.pack("<2e", 0.5, -2)), (2, 1))
    state["brain"] = Tensor(Storage(2, "BFloat16Storage", 2, struct.pack("<2H", 0x3F80, 0xC000)), (2,))
    state["count"] = Tensor(Storage(3, "LongStorage", 8, struct.pack("<q", 7)), (1,))
    state["mask"] = Tensor(Storage(4, "BoolStorage", 1, b"\1\0"), (1, 2))
    state["none"] = Tensor(Storage(5, "FloatStorage", 4, b""), (0, 4))
    state._metadata = {"": {"version": 1}}
    return state


def training_run():
    weight = Storage(0, "FloatStorage", 4, floats(1, 2))
    moment = Storage(1, "FloatStorage", 4, floats(3, 4))
    return {"model": {"_orig_mod.w": Tensor(weight, (2,))}, "iter_num": 5, "best_val_loss": 1.5,
            "optimizer": {"state": {0: {"exp_avg": Tensor(moment, (2,))}}, "param_groups": [{"lr": 0.1}]},
            "model_args": {"n_layer": 2, "bias": False, "dropout": 0.0}, "config": argparse.Namespace(arch="gpt", heads=-3)}


def old_ggml(magic, version, kind, block):
    """A model of one layer's names, its matrices of `block`s of 32 values."""
    out = struct.pack("<I", magic) + (struct.pack("<I", version) if version else b"")
    out += struct.pack("<7I", 3, 32, 32, 2, 1, 16, 2)
    for token in [b"<unk>", b"<s>", b"a b"]:
        out += struct.pack("<I", len(token)) + token + (struct.pack("<f", -1.5) if version else b"")
    matrices = ["tok_embeddings", "layers.0.attention.wk", "layers.0.feed_forward.w1", "output"]
    for name, dimensions in [("norm", (32,))] + [(name, (32, 3)) for name in matrices]:
        raw = name.encode() + b".weight"
        count = 1 if len(dimensions) == 1 else 3
        out += struct.pack(f"<3I{len(dimensions)}I", len(dimensions), len(raw), 0 if count == 1 else kind, *dimensions) + raw
        if magic == 0x67676A74:
            out += b"\0" * (-len(out) % 32)
        out += bytes(128) if count == 1 else block * count
    return out


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
        "mlc/cache": json.dumps({"metadata": {"ParamSize": 1}, "records": [{"dataPath": "params_shard_0.bin", "records": [
            {"name": "a.q_weight", "shape": [2, 4], "dtype": "uint32", "format": "raw", "nbytes": 32, "byteOffset": 0}]}]}).encode(),
        "mlc/misplaced": b'{"records":[{"records":[]},{"a":{"name":["x"],"shape":[[1]]}}],"a":{"b":{"shape":[[[1]]]}}}',
        "mlc/settings.yaml": b"n_layer: 4\nnorm_eps: 1.0e-05\nbias: false\nname: 'x'\nhf_config:\n  org: y\n",
        "old_ggml/ggml_q4_0": old_ggml(0x67676D6C, 0, 2, bytes(range(20))),
        "old_ggml/ggmf_q4_2": old_ggml(0x67676D66, 1, 4, bytes(range(20))),
        "old_ggml/ggjt1_q5_1": old_ggml(0x67676A74, 1, 7, bytes(range(24))),
        "old_ggml/ggjt2_q8_0": old_ggml(0x67676A74, 2, 8, bytes(range(36))),
        "old_ggml/ggjt3_q4_1": old_ggml(0x67676A74, 3, 3, bytes(range(20))),
        "pytorch/zip": torch_zip(state_dict()), "pytorch/legacy": torch_legacy(state_dict()),
        "pytorch/training_zip": torch_zip(training_run(), "ckpt"), "pytorch/training_legacy": torch_legacy(training_run()),
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
