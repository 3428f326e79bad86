"""The photos on a camera's card: what libgphoto2 lists and announces, and when one of them is whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass
from typing import Any

import gphoto2 as gp

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.gphoto2_errors import LOST

_SUFFIXES = (".jpg", ".jpeg", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".dng", ".heic", ".heif", ".hif", ".tif")
_JPEG, _JPEG_END = (".jpg", ".jpeg"), b"\xff\xd9"
_LEAST_PIECE_BYTES, _MOST_PIECE_BYTES = 64 << 10, 1 << 20  # some EOS bodies fail on larger ones
_PIECE_S = 0.1  # other calls wait as long as a piece takes
_NO_DOUBT_S = 8.0  # a release whose photo has not been announced by then is looked into, then after twice as long, ...
_LAST_DOUBT_S = 64.0
_NEWS_S = 0.2
_SETTLING_S = 1.5  # a photo that looks unfinished for so long is looked into


def walk_photos(camera: Any, skip: Container[str] = (), folder: str = "/") -> Iterator[CameraFile]:
    """Yield the photos in a folder and in those below it, but for the paths in `skip`."""
    for name in camera.folder_list_files(folder).keys():  # noqa: SIM118 - libgphoto2's list is no dict
        if (path := f"{folder.rstrip('/')}/{name}") not in skip and name.lower().endswith(_SUFFIXES):
            yield describe(camera, path)
    for name in camera.folder_list_folders(folder).keys():  # noqa: SIM118
        yield from walk_photos(camera, skip, f"{folder.rstrip('/')}/{name}")


def describe(camera: Any, path: str) -> CameraFile:
    """Return a photo's size and time as libgphoto2 knows them: since the conversation began, or the announcement."""
    told = camera.file_get_info(*_place(path)).file
    written_s = told.mtime if told.fields & gp.GP_FILE_INFO_MTIME and told.mtime > 0 else None
    return CameraFile(path, told.size, written_s)


def read_pieces(camera: Callable[[], Any], photo: CameraFile) -> Iterator[memoryview]:
    """Yield a photo's bytes, about 0.1 s of them at a time; all at once from a camera that cannot read in pieces.

    camera  returns the camera, anew for each piece: other calls may be made between two
    ->      a piece is valid until the next one is asked for
    """
    place = (*_place(photo.path), gp.GP_FILE_TYPE_NORMAL)
    buffer = memoryview(bytearray(_MOST_PIECE_BYTES))
    size_bytes, offset = _MOST_PIECE_BYTES // 4, 0
    try:
        while True:
            started_s = time.monotonic()
            count = camera().file_read(*place, offset, buffer[:size_bytes])
            took_s = time.monotonic() - started_s
            if not count:
                return
            yield buffer[:count]
            offset += count
            if took_s > _PIECE_S:
                size_bytes = max(_LEAST_PIECE_BYTES, size_bytes // 2)
            elif took_s < _PIECE_S / 2:
                size_bytes = min(_MOST_PIECE_BYTES, size_bytes * 2)
    except gp.GPhoto2Error as error:
        if error.code != gp.GP_ERROR_NOT_SUPPORTED or offset:
            raise
        whole = camera().file_get(*place)  # must outlive the view of its data
        yield memoryview(whole.get_data_and_size())


@dataclass(slots=True)
class _Growing:
    """A photo of which it is not known that it is whole.

    since_s    when it was first seen with this size, monotonic
    listing    the number of the listing, or of the one before the announcement, that told the size
    announced  the camera said that it had written it
    """

    photo: CameraFile
    since_s: float
    listing: int
    announced: bool


class Arrivals:
    """The photos that come to a camera's card, from what it announces and, where there is doubt, from listings.

    libgphoto2 keeps what it knows of a card until the conversation ends, so only a new conversation lists anew.
    """

    def __init__(self) -> None:
        self._listing = 0
        self._is_listed = False
        self._growing: dict[str, _Growing] = {}
        self._whole: dict[str, CameraFile] = {}
        self._fired_s: float | None = None
        self._patience_s = _NO_DOUBT_S
        self._owed = 0

    def begin(self) -> None:
        """Forget what a broken conversation knew: a new one has begun."""
        self._listing += 1
        self._is_listed = False
        self._whole.clear()

    def expect(self) -> None:
        """Note that the shutter was released."""
        self._fired_s, self._patience_s = time.monotonic(), _NO_DOUBT_S
        self._owed += 1

    def take_news(self, camera: Any, wait_ms: int = 0) -> bool:
        """Take in what the camera has to tell, waiting at most `wait_ms` for it; return whether photos are among it.

        A camera whose capture mode cannot be entered has news without end: some are left for the next time.
        """
        news = False
        enough_s = time.monotonic() + wait_ms / 1000 + _NEWS_S
        event, what = camera.wait_for_event(wait_ms)
        while event != gp.GP_EVENT_TIMEOUT and time.monotonic() < enough_s:
            if event in (gp.GP_EVENT_FILE_ADDED, gp.GP_EVENT_FILE_CHANGED):
                news |= self.announce(camera, f"{what.folder.rstrip('/')}/{what.name}")
            event, what = camera.wait_for_event(0)
        return news

    def announce(self, camera: Any, path: str) -> bool:
        """Take a path the camera told; return whether it is a photo."""
        if not path.lower().endswith(_SUFFIXES):
            return False
        try:
            self._see(describe(camera, path), announced=True)
        except gp.GPhoto2Error as error:
            if error.code in LOST:
                raise
            return False  # it has been deleted since
        return True

    def look(self, camera: Any, known: Collection[str]) -> bool:
        """Look at what is there, listing it where it is not listed yet; return whether one more photo is whole."""
        if not self._is_listed:
            for photo in walk_photos(camera, known):
                self._see(photo, announced=False)
            self._is_listed = True
        news = False
        for path, growing in list(self._growing.items()):
            if path in known or self._is_whole(camera, growing):
                del self._growing[path]
                if path not in known:
                    self._whole[path] = growing.photo
                    self._owed = max(0, self._owed - 1)
                    news = True
        return news

    def photos(self, known: Collection[str]) -> list[CameraFile]:
        """Return the whole photos that are not in `known`."""
        for path in [path for path in self._whole if path in known]:
            del self._whole[path]
        return sorted(self._whole.values())

    def doubt(self) -> bool:
        """Return whether the card should be listed anew; asked again, it has some patience first."""
        now_s = time.monotonic()
        if self._fired_s is not None and self._owed and now_s - self._fired_s > self._patience_s:
            self._patience_s *= 2
            if self._patience_s > _LAST_DOUBT_S:
                self._fired_s, self._owed = None, 0
            return True
        return any(
            now_s - growing.since_s > _SETTLING_S and growing.listing == self._listing
            for growing in self._growing.values()
        )

    def _see(self, photo: CameraFile, *, announced: bool) -> None:
        if photo.path in self._whole:
            return
        before = self._growing.get(photo.path)
        if before is None or before.photo.size_bytes != photo.size_bytes:
            self._growing[photo.path] = _Growing(photo, time.monotonic(), self._listing, announced)
        else:
            before.announced |= announced

    def _is_whole(self, camera: Any, growing: _Growing) -> bool:
        """Tell whether all of a photo is there: its end, its announcement, or a later listing with the same size."""
        photo = growing.photo
        if not photo.size_bytes:
            return False
        if growing.listing != self._listing and time.monotonic() - growing.since_s > _SETTLING_S:
            return True
        if not photo.path.lower().endswith(_JPEG):
            return growing.announced
        end = read_end(camera, photo, len(_JPEG_END))
        return growing.announced if end is None else end == _JPEG_END


def read_end(camera: Any, photo: CameraFile, size_bytes: int) -> bytes | None:
    """Return a photo's last bytes; None from a camera that cannot read in pieces."""
    end = bytearray(size_bytes)
    try:
        place = (*_place(photo.path), gp.GP_FILE_TYPE_NORMAL)
        count = camera.file_read(*place, max(0, photo.size_bytes - size_bytes), end)
    except gp.GPhoto2Error as error:
        if error.code != gp.GP_ERROR_NOT_SUPPORTED:
            raise
        return None
    return bytes(end[:count])


def _place(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder or "/", name
