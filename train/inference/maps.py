"""What lies between two layers of a network that runs over strips: maps [H, W, C], read and written by whole rows."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Protocol, Self

import torch
from torch import Tensor

from dpedkit.errors import StorageError
from dpedkit.files import storage_error
from dpedkit.types import U8


class Source(Protocol):
    """Gives rows; `height` of them."""

    height: int

    def read(self, start: int, stop: int) -> Tensor:
        """Return rows [stop - start, W, C] good until they are written again."""
        ...


class Target(Protocol):
    """Takes rows."""

    def write(self, start: int, rows: Tensor) -> None:
        """Set rows [h, W, C] from `start` on."""
        ...


class Map(Source, Target, Protocol):
    """Does both."""


class Photo:
    """The photo itself, in [0, 1]."""

    def __init__(self, rgb: U8, device: torch.device) -> None:
        self.height, self.width = rgb.shape[:2]
        self._rgb, self._device = rgb, device

    def read(self, start: int, stop: int) -> Tensor:
        """Return rows of the photo."""
        return torch.from_numpy(self._rgb[start:stop].copy()).to(self._device).float() / 255  # it may be read-only


Wrote = Callable[[int], None]
"""Told of rows that were written."""


class Result:
    """The enhanced photo, as far as it is written: uint8 [H, W, 3]."""

    def __init__(self, height: int, width: int, wrote: Wrote) -> None:
        self.rgb = torch.empty(height, width, 3, dtype=torch.uint8)
        self._wrote = wrote

    def write(self, start: int, rows: Tensor) -> None:
        """Set rows from values in [0, 1], clipped and rounded."""
        self.rgb[start : start + len(rows)] = (rows.clamp(0, 1) * 255).round().to("cpu", torch.uint8)
        self._wrote(len(rows))


class Maps:
    """Makes maps: in memory while there is room, else in scratch files, which have no name and go with the process.

    device  where the maps are computed
    room    bytes of its memory that they may take
    folder  of scratch files; None: where temporary files go
    dtype   of the maps
    """

    def __init__(
        self, device: torch.device, room: int, folder: Path | None, wrote: Wrote, dtype: torch.dtype = torch.float32
    ) -> None:
        self._device, self._room, self._wrote, self._dtype = device, room, wrote, dtype
        self._folder = Path(tempfile.gettempdir()) if folder is None else folder
        self._files = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def new(self, height: int, width: int, channels: int) -> Map:
        """Return an empty map [height, width, channels].

        Raises:
            StorageError: it belongs into a file, and the disk has no room for it.
        """
        size = height * width * channels * self._dtype.itemsize
        if size <= self._room:
            self._room -= size
            return _InMemory(torch.empty(height, width, channels, dtype=self._dtype, device=self._device), self._wrote)
        return _InFile(self._reserve(size), (height, width, channels), self._dtype, self._device, self._wrote)

    def _reserve(self, size: int) -> IO[bytes]:
        """Return a file that has so many bytes of the disk, so that it cannot become full half way."""
        try:
            free = shutil.disk_usage(self._folder).free
            if free < size:
                raise StorageError(
                    f"{self._folder} has {_gb(free)} free, and a map of this photo takes {_gb(size)}",
                    "make room there, put the results (-o) on another disk, or allow more memory (--memory)",
                )
            file = self._files.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115  (the stack closes it)
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise storage_error(error, self._folder) from error
        return file


class _InMemory:
    def __init__(self, values: Tensor, wrote: Wrote) -> None:
        self.height = len(values)
        self._values, self._wrote = values, wrote

    def read(self, start: int, stop: int) -> Tensor:
        return self._values[start:stop]

    def write(self, start: int, rows: Tensor) -> None:
        self._values[start : start + len(rows)] = rows
        self._wrote(len(rows))


class _InFile:
    """Read and written by calls: of a file that is mapped into memory, the pages count as this process's memory."""

    def __init__(
        self, file: IO[bytes], shape: tuple[int, int, int], dtype: torch.dtype, device: torch.device, wrote: Wrote
    ) -> None:
        self.height, self._wrote = shape[0], wrote
        self._file, self._shape, self._dtype, self._device = file, shape[1:], dtype, device
        self._row_bytes = shape[1] * shape[2] * dtype.itemsize

    def read(self, start: int, stop: int) -> Tensor:
        rows = torch.empty(stop - start, *self._shape, dtype=self._dtype)
        todo, at = _bytes(rows), start * self._row_bytes
        while len(todo):
            count = os.preadv(self._file.fileno(), [todo], at)
            todo, at = todo[count:], at + count
        return rows.to(self._device)

    def write(self, start: int, rows: Tensor) -> None:
        todo, at = _bytes(rows.to("cpu", self._dtype).contiguous()), start * self._row_bytes
        while len(todo):
            count = os.pwrite(self._file.fileno(), todo, at)
            todo, at = todo[count:], at + count
        self._wrote(len(rows))


def _gb(size: int) -> str:
    return f"{size / 1e9:.2g} GB"


def _bytes(values: Tensor) -> memoryview:
    return values.flatten().view(torch.uint8).numpy().data
