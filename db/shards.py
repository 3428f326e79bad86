"""Files of patches: one uint8 .npy array [N, 2, S, S, 3] each, phone first, memory-mapped by the trainer."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from dpedkit.errors import CorpusError
from dpedkit.files import atomic_file, locked
from dpedkit.types import U8

_LOCK = ".lock"


def write_shard(folder: Path, phone: U8, dslr: U8) -> str:
    """Write patches to a shard in `folder` and return its name, which is the SHA-256 of the file.

    The file is whole and on the disk when this returns; rows that name it may be written from then on.

    phone, dslr   [N, S, S, 3]  in the order of the rows, N > 0

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
        ValueError: the arrays do not hold the same number of square colour patches.
    """
    if phone.shape != dslr.shape or not _is_patches(phone.shape) or {phone.dtype, dslr.dtype} != {np.dtype(np.uint8)}:
        raise ValueError(
            f"want uint8 [N, S, S, 3] twice, got {phone.dtype} {list(phone.shape)} and {dslr.dtype} {list(dslr.shape)}"
        )
    pixels = np.stack([phone, dslr], axis=1)
    header = io.BytesIO()
    npy.write_array_header_1_0(header, npy.header_data_from_array_1_0(pixels))
    digest = hashlib.sha256(header.getvalue())
    digest.update(pixels.data)
    name = f"{digest.hexdigest()}.npy"
    with atomic_file(folder / name) as temporary, temporary.open("wb") as stream:
        stream.write(header.getvalue())
        stream.write(pixels.data)
    return name


def open_shard(folder: Path, name: str) -> U8:
    """Return a shard's pixels [N, 2, S, S, 3], memory-mapped: only what is indexed is read.

    Raises:
        CorpusError: the shard is missing, cut short, or no shard.
    """
    remedy = "run `dpedkit build-patches`: it rebuilds what is missing"
    try:
        pixels = np.asarray(np.load(folder / name, mmap_mode="r", allow_pickle=False))
    except FileNotFoundError as error:
        raise CorpusError(f"the shard {folder / name} is missing", remedy) from error
    except (OSError, EOFError, ValueError) as error:
        raise CorpusError(f"the shard {folder / name} is broken: {error}", remedy) from error
    if pixels.dtype != np.uint8 or pixels.ndim != 5 or pixels.shape[1] != 2 or not _is_patches(pixels[:, 0].shape):
        raise CorpusError(
            f"the shard {folder / name} holds {pixels.dtype} {list(pixels.shape)}, not uint8 [N, 2, S, S, 3]", remedy
        )
    return pixels


@contextmanager
def using_shards(folder: Path) -> Iterator[None]:
    """Keep the shards in `folder` where they are: held from before their places are read until they are used no more.

    Raises:
        StorageError: they are being rewritten right now.
    """
    if not os.access(folder, os.W_OK):  # nobody can rewrite them here
        yield
        return
    with locked(folder / _LOCK, "compacting the shards", shared=True):
        yield


@contextmanager
def rewriting_shards(folder: Path) -> Iterator[None]:
    """Keep everybody else from shards in `folder` while they are rewritten.

    Raises:
        StorageError: another process uses them.
    """
    with locked(folder / _LOCK, "using the shards: it cuts, imports, trains, evaluates, exports or compacts"):
        yield


def _is_patches(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[0] > 0 and shape[1] == shape[2] and shape[3] == 3
