"""Patches that were cut already, a thousand at a time: from the files of the DPED dataset to a shard."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpedkit.db import PatchRecord, SplitName, write_shard
from dpedkit.errors import DpedError
from dpedkit.files import sha256_file
from dpedkit.images import read_rgb
from dpedkit.stages.pairing import DSLR
from dpedkit.stages.taking_in import TakenIn
from dpedkit.types import U8

SHEET_COLUMNS = 32
"""A chunk's patches are placed as on a contact sheet so many wide: x and y of a patch tell its row in the shard."""

_LIMIT_PX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chunk:
    """Patches of one phone and split, for a worker process.

    inputs, targets  the folders of the phone's patches and of the DSLR's
    names            of the files that both have
    staged           where the manifests go until they are recorded, but for the device and the ending
    held             keys of the alignments whose patches the corpus has
    """

    phone: str
    split: SplitName
    inputs: Path
    targets: Path
    names: tuple[str, ...]
    shards: Path
    staged: Path
    held: frozenset[str]

    @property
    def label(self) -> str:
        """Such as "iphone train 0-999"."""
        return f"{self.phone} {self.split} {Path(self.names[0]).stem}-{Path(self.names[-1]).stem}"

    def __str__(self) -> str:
        return self.label

    def manifest(self, device: str) -> Path:
        """Return the name of the list that stands for a camera's photo: of its files, with their SHA-256."""
        folder = self.targets if device == DSLR else self.inputs
        return folder / f"{Path(self.names[0]).stem}-{Path(self.names[-1]).stem}.json"


@dataclass(frozen=True, slots=True)
class CutChunk:
    """What a worker gives back.

    alignment  key of the alignment that the patches are of: the hash of all files' hashes
    manifests  by device; empty: the corpus has these patches
    patches    the rows to record, in order of the manifests
    failures   files that cannot be used, each with why
    """

    alignment: str
    manifests: dict[str, TakenIn] = field(default_factory=dict)
    shard: str = ""
    patches: tuple[PatchRecord, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


def cut_chunk(chunk: Chunk) -> CutChunk:
    """Hash a chunk's files and, unless the corpus has them, write them to a shard and list them in two manifests.

    Raises:
        StorageError: the disk is full.
    """
    failures: dict[str, str] = {}
    hashes = [(_hash(chunk.inputs / name, failures), _hash(chunk.targets / name, failures)) for name in chunk.names]
    told = "".join(f"{name} {ours} {theirs}\n" for name, (ours, theirs) in zip(chunk.names, hashes, strict=True))
    alignment = hashlib.sha256(f"given patches {chunk.phone} {chunk.split}\n{told}".encode()).hexdigest()
    if alignment in chunk.held:
        return CutChunk(alignment)
    good, phone, dslr = _read(chunk, failures)
    if not good:
        return CutChunk(alignment, failures=failures)
    manifests = {
        device: _list(chunk, device, [(chunk.names[row], hashes[row][column]) for row in good])
        for column, device in enumerate((chunk.phone, DSLR))
    }
    size = phone[0].shape[0]
    patches = tuple(
        PatchRecord(
            key=hashlib.sha256(f"{alignment} {chunk.names[source]}".encode()).hexdigest(),
            row=row,
            x=row % SHEET_COLUMNS * size,
            y=row // SHEET_COLUMNS * size,
            size=size,
        )
        for row, source in enumerate(good)
    )
    return CutChunk(alignment, manifests, write_shard(chunk.shards, np.stack(phone), np.stack(dslr)), patches, failures)


def _hash(path: Path, failures: dict[str, str]) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        failures[str(path)] = error.strerror or str(error)
        return ""


def _read(chunk: Chunk, failures: dict[str, str]) -> tuple[list[int], list[U8], list[U8]]:
    """Return which of the names are pairs of squares of the size that the first has, and the pixels of both."""
    good: list[int] = []
    phone: list[U8] = []
    dslr: list[U8] = []
    for index, name in enumerate(chunk.names):
        pair = []
        for path in (chunk.inputs / name, chunk.targets / name):
            if str(path) in failures:
                continue
            try:
                pair.append(read_rgb(path, limit_px=_LIMIT_PX))
            except DpedError as error:
                failures[str(path)] = error.cause.removeprefix(f"{path}: ")
        if len(pair) < 2:
            continue
        side = phone[0].shape[0] if phone else pair[0].shape[0]
        if wrong := [each.shape for each in pair if each.shape != (side, side, 3)]:
            height, width = wrong[0][:2]
            failures[str(chunk.inputs / name)] = f"{width} x {height} px, not {side} x {side} like the others"
            continue
        good.append(index)
        phone.append(pair[0])
        dslr.append(pair[1])
    return good, phone, dslr


def _list(chunk: Chunk, device: str, files: list[tuple[str, str]]) -> TakenIn:
    document = {
        "device": device,
        "phone": chunk.phone,
        "split": chunk.split,
        "folder": (chunk.targets if device == DSLR else chunk.inputs).name,
        "files": [{"name": name, "sha256": digest} for name, digest in files],
    }
    data = json.dumps(document, indent=0).encode()
    path = chunk.staged.with_name(f"{chunk.staged.name}-{device}.json")
    path.write_bytes(data)
    return TakenIn(hashlib.sha256(data).hexdigest(), len(data), path)
