"""One photo on its way from a device to this machine's disk: it is stored whole, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dpedkit.capture.camera import Camera, CameraFile
from dpedkit.capture.orders import RAW, suffix_of
from dpedkit.errors import ImageError, MissingExtra, PullFailed
from dpedkit.files import keep, sha256_file, storage_error
from dpedkit.images import PhotoMeta, examine, read_meta

_TRIES = 3
_STILL_THERE = "the photo is still on the device: `dpedkit capture --resume` tries again"


@dataclass(frozen=True, slots=True)
class Looked:
    """What the copy of a photo turned out to be.

    meta    None where its header cannot be read
    colour  mean R, G, B, 0-255; None where it is not decoded (RAW)
    damage  what is wrong with the picture; "" where nothing is
    """

    sha256: str
    meta: PhotoMeta | None
    colour: tuple[float, float, float] | None
    damage: str = ""


class Incoming:
    """A photo that is being pulled, piece by piece, as often as it takes (three times at most).

    folder   where it will be stored; until then it lies there under a name that ends with ".part"
    seen_ns  when it was seen on the device, host wall clock, ns
    """

    def __init__(self, camera: Camera, photo: CameraFile, folder: Path, seen_ns: int) -> None:
        self.photo = photo
        self.seen_ns = seen_ns
        self._camera = camera
        self._temporary = folder / f".{camera.name}_{Path(photo.path).name}.{os.getpid()}.part"
        self._pieces: Iterator[int] | None = None
        self._tries = 0
        self._damaged_sha256 = ""

    def step(self) -> bool:
        """Take the next piece; return True when all have come.

        Raises:
            PullFailed: the device gave something else than it announced. `may_try_again` tells what to do.
            CameraError: the connection broke; it begins anew with the next step.
            StorageError: this machine's disk is full.
        """
        try:
            if self._pieces is None:
                self._tries += 1
                self._pieces = self._camera.pull(self.photo, self._temporary)
            if next(self._pieces, None) is not None:
                return False
            size_bytes = self._temporary.stat().st_size
        except OSError as error:
            self.stop()
            raise storage_error(error, self._temporary) from error
        except BaseException:
            self.stop()
            raise
        self._pieces = None
        if size_bytes != self.photo.size_bytes:
            self.stop()
            raise PullFailed(
                f"{self._camera.name} announced {self.photo.size_bytes} bytes for {self.photo.path}, {size_bytes} came",
                _STILL_THERE,
            )
        return True

    @property
    def may_try_again(self) -> bool:
        """Whether another try is worth while after PullFailed."""
        return self._tries < _TRIES

    def look(self) -> Looked:
        """Examine the copy.

        Raises:
            PullFailed: it is damaged, perhaps on its way. A second copy with the same damage is what the device has,
                and is returned as it is. `may_try_again` tells what to do.
        """
        looked = look_at(self._temporary, is_raw=suffix_of(self.photo) in RAW)
        if looked.damage and looked.sha256 != self._damaged_sha256:
            self._damaged_sha256 = looked.sha256
            self.stop()
            raise PullFailed(
                f"{self._camera.name}: the copy of {self.photo.path} is damaged: {looked.damage}", _STILL_THERE
            )
        return looked

    def store(self, path: Path) -> None:
        """Give the copy its name, for good."""
        try:
            keep(self._temporary, path)
        except OSError as error:
            self.stop()
            raise storage_error(error, path) from error

    def stop(self) -> None:
        """Forget what has come so far."""
        pieces, self._pieces = self._pieces, None
        if pieces is not None:
            getattr(pieces, "close", lambda: None)()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)


def look_at(path: Path, *, is_raw: bool) -> Looked:
    """Examine a photo's file. A RAW is not decoded: its damage cannot be seen here."""
    sha256 = sha256_file(path)
    if is_raw:
        return Looked(sha256, _header(path), None)
    try:
        return Looked(sha256, *examine(path))
    except MissingExtra:  # HEIC, and nothing that reads it
        return Looked(sha256, None, None)
    except ImageError as error:
        return Looked(sha256, _header(path), None, error.cause.replace(str(path), "its file"))


def _header(path: Path) -> PhotoMeta | None:
    try:
        return read_meta(path)
    except (ImageError, MissingExtra):
        return None
