"""TensorFlow checkpoints of generators, as the authors' code writes them."""

from __future__ import annotations

import struct
from pathlib import Path

from dpedkit.train.crc32c import masked_crc32c
from dpedkit.train.networks import Generator
from dpedkit.types import F32

MAGIC = bytes.fromhex("57fb808b247547db")


def varint(number: int) -> bytes:
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def block(records: list[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB block whose keys share what they can with the key before."""
    content, last = b"", b""
    for key, value in records:
        shared = next((at for at in range(len(last)) if key[at : at + 1] != last[at : at + 1]), len(last))
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return content + struct.pack("<II", 0, 1)


def table(blocks: list[bytes]) -> bytes:
    """Data blocks, an empty meta block, the root block and the footer, checksummed."""
    written, handles = b"", []

    def add(content: bytes) -> bytes:
        nonlocal written
        handle = varint(len(written)) + varint(len(content))
        written += content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0"))
        return handle

    handles = [(bytes([0xFE, number]), add(content)) for number, content in enumerate(blocks)]
    footer = add(block([])) + add(block(handles))
    return written + footer.ljust(40, b"\0") + MAGIC


def entry(dtype: int, shape: tuple[int, ...], shard: int, offset: int, raw: bytes) -> bytes:
    dims = b"".join(b"\x12" + varint(len(dim)) + dim for dim in (b"\x08" + varint(size) for size in shape))
    return (
        b"\x08" + varint(dtype) + b"\x12" + varint(len(dims)) + dims + b"\x18" + varint(shard)
        + b"\x20" + varint(offset) + b"\x28" + varint(len(raw)) + b"\x35" + struct.pack("<I", masked_crc32c(raw))
    )  # fmt: skip


def messages(tensors: dict[str, F32], dtype: int = 1) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The records of an index, and the data file they describe."""
    records, data = [(b"", b"\x08\x01\x1a\x02\x08\x01")], b""
    for name, value in sorted(tensors.items()):
        raw = value.astype("<f4").tobytes()
        records.append((name.encode(), entry(dtype, value.shape, 0, len(data), raw)))
        data += raw
    return records, data


def write(prefix: Path, tensors: dict[str, F32], dtype: int = 1) -> Path:
    records, data = messages(tensors, dtype)
    half = len(records) // 2
    prefix.with_name(f"{prefix.name}.index").write_bytes(table([block(records[:half]), block(records[half:])]))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)
    return prefix


def authors_tensors(generator: Generator) -> dict[str, F32]:
    """A generator's weights by the authors' names, written out by hand for one block."""
    state = {name: weight.numpy() for name, weight in generator.state_dict().items()}
    convs = ["head", "blocks.0.conv1", "blocks.0.conv2", "refine1", "refine2", "to_rgb"]
    tensors = {}
    for number, layer in enumerate(convs, start=1):
        tensors[f"generator/W{number}"] = state[f"{layer}.weight"].transpose(2, 3, 1, 0)
        tensors[f"generator/b{number}"] = state[f"{layer}.bias"]
    for suffix, name in [("", "norm1.shift"), ("_1", "norm1.scale"), ("_2", "norm2.shift"), ("_3", "norm2.scale")]:
        tensors[f"generator/Variable{suffix}"] = state[f"blocks.0.{name}"]
    return tensors
