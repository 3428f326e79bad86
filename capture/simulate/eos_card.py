"""A folder served as a PTP store: what a memory card in a camera looks like from outside."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dpedkit.capture.simulate.faults import Script
from dpedkit.capture.simulate.ptp import ALL, Format, PtpError, Status, object_info, storage_info

STORAGE_ID = 0x00020001
PHOTO_BYTES = 8 << 20
"""What one photo is taken to need, where it is asked how many still fit."""
_FIRST_HANDLE = 0x91900000
_CHUNK_BYTES = 256 << 10
_FORMATS = {".jpg": Format.JPEG, ".cr2": Format.CANON_RAW, ".heic": Format.HEIF}


@dataclass(frozen=True, slots=True)
class Slice:
    """Part of a file, sent piece by piece: a photo is never held in memory."""

    path: Path
    offset_bytes: int
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes; fewer than announced where the file has shrunk or gone."""
        left = self.size_bytes
        try:
            with self.path.open("rb") as stream:
                stream.seek(self.offset_bytes)
                while left and (chunk := stream.read(min(left, _CHUNK_BYTES))):
                    left -= len(chunk)
                    yield chunk
        except FileNotFoundError:
            return


class Card:
    """The objects of one memory card. A handle stands for one path for as long as the camera is on.

    Hidden files and symbolic links are not served: nothing outside the folder can be reached.
    """

    def __init__(self, root: Path, faults: Script) -> None:
        self._root = root
        self._faults = faults
        self._lock = threading.Lock()
        self._handles: dict[Path, int] = {}
        self._paths: dict[int, Path] = {}

    def storage(self) -> bytes:
        """Return the StorageInfo dataset."""
        return storage_info(shutil.disk_usage(self._root).total, self._free_bytes(), self.free_images(), "SD")

    def free_images(self) -> int:
        """Return how many photos still fit."""
        return self._free_bytes() // PHOTO_BYTES

    def _free_bytes(self) -> int:
        """Return the space on the disk the folder lies on."""
        return 0 if self._faults.now("card_full") else shutil.disk_usage(self._root).free

    def handles(self, parent: int) -> list[int]:
        """Return the handles of a folder's entries.

        parent  a folder's handle; ALL: the root; 0: everything on the card

        Raises:
            PtpError: no such folder.
        """
        folder = self._root if parent in (0, ALL) else self.path(parent)
        found = sorted(self._entries(folder, deep=parent == 0))
        return [self.handle(path) for path in found]

    def handle(self, path: Path) -> int:
        """Return the handle of a file or folder on the card."""
        with self._lock:
            handle = self._handles.setdefault(path, _FIRST_HANDLE + len(self._handles) + 1)
            self._paths[handle] = path
            return handle

    def parent(self, path: Path) -> int:
        """Return the handle of the folder a path lies in; 0: the root."""
        return 0 if path.parent == self._root else self.handle(path.parent)

    def path(self, handle: int) -> Path:
        """Return the file or folder behind a handle.

        Raises:
            PtpError: there is none, or it has been deleted.
        """
        with self._lock:
            path = self._paths.get(handle)
        if path is None or not path.exists():
            raise PtpError(Status.INVALID_HANDLE)
        return path

    def info(self, handle: int) -> bytes:
        """Return the ObjectInfo dataset behind a handle."""
        path = self.path(handle)
        status = path.stat()
        return object_info(
            storage=STORAGE_ID,
            parent=self.parent(path),
            kind=kind_of(path),
            size_bytes=status.st_size if path.is_file() else 0,
            name=path.name,
            when=datetime.fromtimestamp(status.st_mtime),
        )

    def slice(self, handle: int, offset_bytes: int, size_bytes: int) -> Slice:
        """Return at most `size_bytes` of a file from `offset_bytes` on."""
        path = self.path(handle)
        if not path.is_file():
            raise PtpError(Status.INVALID_HANDLE)
        left = max(0, path.stat().st_size - offset_bytes)
        return Slice(path, offset_bytes, min(left, size_bytes))

    def delete(self, handle: int) -> None:
        """Remove a file; folders stay, as the camera needs them."""
        path = self.path(handle)
        if not path.is_file():
            raise PtpError(Status.ACCESS_DENIED)
        path.unlink(missing_ok=True)

    def _entries(self, folder: Path, *, deep: bool) -> Iterator[Path]:
        with os.scandir(folder) as entries:
            visible = [entry for entry in entries if not entry.name.startswith(".") and not entry.is_symlink()]
        for entry in visible:
            path = Path(entry.path)
            yield path
            if deep and entry.is_dir():
                yield from self._entries(path, deep=True)


def kind_of(path: Path) -> Format:
    """Return the object format of a file or folder."""
    return Format.FOLDER if path.is_dir() else _FORMATS.get(path.suffix.lower(), Format.UNDEFINED)
