"""Read TensorFlow V2 checkpoints with numpy alone, and the authors' generators out of them.

A checkpoint is PREFIX.index, a LevelDB table of BundleEntryProto messages by tensor name, and
PREFIX.data-00000-of-00001, the raw little-endian values. Everything read is covered by a CRC-32C.
Formats: leveldb/doc/table_format.md; tensorflow/core/protobuf/tensor_bundle.proto.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dpedkit.errors import WeightsError
from dpedkit.train.crc32c import masked_crc32c
from dpedkit.train.networks import Generator, InstanceNorm
from dpedkit.types import F32

_FOOTER_BYTES = 48
_TRAILER_BYTES = 5  # of a block: compression, CRC
_MAGIC = 0xDB4775248B80FB57
_DT_FLOAT = 1
_SCOPE = "generator/"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where a tensor lies in the data files."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size_bytes: int
    masked_crc: int


class _Corrupt(ValueError):
    """What is wrong with a file, as half a sentence."""


def load_tf_generator(prefix: Path) -> Generator:
    """Return the generator that the authors' code saved as PREFIX.index and PREFIX.data-*.

    Raises:
        WeightsError: a file is missing, truncated, corrupt or holds something else.
    """
    tensors = read_tf_checkpoint(prefix)
    named = {name.removeprefix(_SCOPE): value for name, value in tensors.items()}
    blocks = sum(name.startswith("W") for name in named) // 2 - 2
    try:
        return Generator.from_state(_state(named, blocks), {"width": named["b1"].size, "blocks": blocks})
    except (KeyError, ValueError) as error:
        raise WeightsError(
            f"{prefix} is a TensorFlow checkpoint, but not of a DPED generator: {error}",
            "give a checkpoint that DPED's train_model.py wrote, such as models_orig/iphone_orig",
        ) from error


def _state(named: Mapping[str, F32], blocks: int) -> dict[str, Tensor]:
    """Return the authors' variables, numbered in layer order, under our layers' names."""
    with torch.device("meta"):
        layers = list(Generator(width=1, blocks=blocks).named_modules())
    convs = [name for name, module in layers if isinstance(module, nn.Conv2d)]
    norms = [name for name, module in layers if isinstance(module, InstanceNorm)]
    ours: dict[str, F32] = {}
    for number, layer in enumerate(convs, start=1):
        ours[f"{layer}.weight"] = named[f"W{number}"].transpose(3, 2, 0, 1)  # HWIO -> OIHW
        ours[f"{layer}.bias"] = named[f"b{number}"]
    for number, layer in enumerate(norms):
        ours[f"{layer}.shift"] = named[f"Variable_{2 * number}" if number else "Variable"]
        ours[f"{layer}.scale"] = named[f"Variable_{2 * number + 1}"]
    if len(ours) != len(named):
        raise ValueError(f"it holds {len(named)} tensors where {len(ours)} belong")
    return {name: torch.from_numpy(value) for name, value in ours.items()}


def read_tf_checkpoint(prefix: Path) -> dict[str, F32]:
    """Return every tensor of a checkpoint by name.

    prefix  path without ".index"

    Raises:
        WeightsError: a file is missing, truncated or corrupt, or a tensor is not float32.
    """
    with _explained(prefix):
        shards, entries = _read_index(_index(prefix).read_bytes())
        data = [path.read_bytes() for path in _data_files(prefix, shards)]
        return {name: _read_tensor(name, entry, data) for name, entry in entries.items()}


def checkpoint_files(prefix: Path) -> list[Path]:
    """Return the files that a checkpoint consists of, the index first; raises as `read_tf_checkpoint` does."""
    with _explained(prefix):
        shards, _ = _read_index(_index(prefix).read_bytes())
        return [_index(prefix), *_data_files(prefix, shards)]


def checkpoint_prefix(path: Path) -> Path | None:
    """Return the prefix of the checkpoint that `path` means, by its prefix or one of its files; None: there is none."""
    prefix = path.with_name(re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name)) if path.name else path
    return prefix if prefix.name and _index(prefix).is_file() else None


def _index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _data_files(prefix: Path, shards: int) -> list[Path]:
    return [prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}") for shard in range(shards)]


@contextmanager
def _explained(prefix: Path) -> Iterator[None]:
    """Turn what goes wrong with a checkpoint's files into an error that names it."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"{error.filename} cannot be read: {error.strerror}",
            "a TensorFlow checkpoint is two files, PREFIX.index and PREFIX.data-00000-of-00001: copy both",
        ) from error
    except (_Corrupt, IndexError, UnicodeDecodeError, struct.error) as error:
        raise WeightsError(
            f"{prefix} is not a whole TensorFlow V2 checkpoint: {error}",
            "copy PREFIX.index and PREFIX.data-00000-of-00001 again from where they came from",
        ) from error


def _read_index(table: bytes) -> tuple[int, dict[str, _Entry]]:
    """Return how many data files there are, and each tensor's entry."""
    footer = table[-_FOOTER_BYTES:]
    if len(footer) < _FOOTER_BYTES or int.from_bytes(footer[-8:], "little") != _MAGIC:
        raise _Corrupt("the index does not end with a table's footer")
    meta_offset, at = _varint(footer, 0)
    meta_size, at = _varint(footer, at)
    root_offset, at = _varint(footer, at)
    root_size, at = _varint(footer, at)
    if any(footer[at:-8]):
        raise _Corrupt("the index's footer is damaged")
    _block(table, meta_offset, meta_size)
    messages: dict[bytes, bytes] = {}
    for _, handle in _records(_block(table, root_offset, root_size)):
        offset, at = _varint(handle, 0)
        size, _ = _varint(handle, at)
        messages.update(_records(_block(table, offset, size)))
    header = dict(_fields(messages.pop(b"", b"")))
    shards = _integer(header.get(1, 0))
    if not 1 <= shards <= len(messages) or _integer(header.get(2, 0)) != 0:
        raise _Corrupt(f"its header says {shards} data files, big-endian or with too few tensors")
    return shards, {name.decode(): _entry(message) for name, message in messages.items()}


def _block(table: bytes, offset: int, size: int) -> bytes:
    """Return one block of the index, its checksum verified."""
    content = table[offset : offset + size]
    trailer = table[offset + size : offset + size + _TRAILER_BYTES]
    if len(trailer) < _TRAILER_BYTES:
        raise _Corrupt("the index is truncated")
    if masked_crc32c(content + trailer[:1]) != int.from_bytes(trailer[1:], "little"):
        raise _Corrupt("a checksum in the index does not match")
    if trailer[0]:
        raise _Corrupt("the index is compressed, which TensorFlow's never are")
    return content


def _records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield keys and values; a key states only how it differs from the one before."""
    restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 * (restarts + 1)
    key, at = b"", 0
    while at < end:
        shared, at = _varint(block, at)
        fresh, at = _varint(block, at)
        size, at = _varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + size]
        at += fresh + size


def _entry(message: bytes) -> _Entry:
    """Parse a BundleEntryProto."""
    shape: list[int] = []
    numbers: dict[int, int] = {}
    for field, value in _fields(message):
        if isinstance(value, int):
            numbers[field] = value
        elif field == 2:
            sizes = [dict(_fields(dim)) for key, dim in _fields(value) if key == 2 and isinstance(dim, bytes)]
            shape = [_integer(size.get(1, 0)) for size in sizes]
    return _Entry(
        numbers.get(1, 0), tuple(shape), numbers.get(3, 0), numbers.get(4, 0), numbers.get(5, 0), numbers.get(6, 0)
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a protocol buffer: number, and an integer or the bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                value, at = _varint(message, at)
                yield tag >> 3, value
            case 2:
                size, at = _varint(message, at)
                yield tag >> 3, message[at : at + size]
                at += size
            case 5:
                yield tag >> 3, int.from_bytes(message[at : at + 4], "little")
                at += 4
            case other:
                raise _Corrupt(f"an entry has a field of unknown type {other}")


def _integer(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise _Corrupt("an entry has text where a number belongs")
    return value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at `at`, seven bits to a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80 and (byte or shift == 7):
            return value, at
        if byte == 0 or shift > 63:
            raise _Corrupt("a number has too many digits")


def _read_tensor(name: str, entry: _Entry, data: list[bytes]) -> F32:
    """Return one tensor, its checksum verified."""
    if entry.dtype != _DT_FLOAT:
        raise _Corrupt(f"{name} is not float32 (type {entry.dtype})")
    if entry.shard >= len(data) or entry.size_bytes != 4 * math.prod(entry.shape):
        raise _Corrupt(f"{name}: its entry contradicts itself")
    raw = data[entry.shard][entry.offset : entry.offset + entry.size_bytes]
    if len(raw) < entry.size_bytes:
        raise _Corrupt(f"the data file is truncated within {name}")
    if masked_crc32c(raw) != entry.masked_crc:
        raise _Corrupt(f"the checksum of {name} does not match")
    return np.frombuffer(raw, "<f4").reshape(entry.shape).astype(np.float32)
