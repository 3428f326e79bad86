"""Which photos are on a phone, and which of them are new and whole."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import PurePosixPath

from dpedkit.capture.camera import CameraFile
from dpedkit.capture.drivers.adb_sync import Entry, SyncClient

DCIM = "/sdcard/DCIM"

_PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".heic", ".heif", ".dng"})
_MOST_BOXES = 8
_MOST_FOLDERS = 4  # below each other; a link to a folder above would have no end
_REST_S = 0.05
_SETTLED_S = 1.5
_MOST_LOOKS = 16  # in one call, the newest first: after a long absence, many photos may be new
_LIST_AGAIN_S = 0.25  # times in folders are whole seconds: two photos in one second change them once
_LIST_SHARE = 5  # and listing 3,000 photos takes its time


@dataclass(slots=True)
class _Folder:
    """A folder as it was listed.

    written_s  when it was changed last, by the phone's clock
    listed_s   when it was listed, monotonic
    took_s     how long that took
    """

    written_s: int
    listed_s: float
    took_s: float
    files: dict[str, CameraFile]
    folders: list[str]

    def may_have_changed(self, written_s: int, now_s: float) -> bool:
        return written_s != self.written_s or now_s - self.listed_s > max(_LIST_AGAIN_S, _LIST_SHARE * self.took_s)


@dataclass(slots=True)
class _Growing:
    """A new file: as it was seen last, since when it has this size (monotonic), and whether that is all of it."""

    photo: CameraFile
    since_s: float
    whole: bool = False


class PhotoFinder:
    """Finds new photos by asking only for what may have changed since the last time.

    is_whole  whether a file that has not grown since the last look ends as its format does
    """

    def __init__(self, is_whole: Callable[[CameraFile], bool], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._is_whole = is_whole
        self._clock_s = clock_s
        self._folders: dict[str, _Folder] = {}
        self._growing: dict[str, _Growing] = {}

    def new(self, sync: SyncClient, known: Collection[str]) -> list[CameraFile]:
        """Return the photos that are whole and not known.

        A file is whole when its size is the same in two looks and it ends as its format does; one that ends
        otherwise (a format without an end, or a maker's notes after the picture) when it has not grown for 1.5 s.
        """
        paths = known if isinstance(known, Set | Mapping) else set(known)
        unknown = [photo for photo in self._all(sync) if photo.path not in paths]
        self._growing = {photo.path: self._growing[photo.path] for photo in unknown if photo.path in self._growing}
        unknown.sort(key=lambda photo: (photo.written_s or 0, photo.path), reverse=True)
        looked = 0
        for photo in unknown:
            seen = self._growing.get(photo.path)
            if seen is None:
                self._growing[photo.path] = _Growing(photo, self._clock_s())
            elif not seen.whole and looked < _MOST_LOOKS:
                looked += 1
                self._look(sync, seen)
        return sorted(seen.photo for seen in self._growing.values() if seen.whole)

    def _look(self, sync: SyncClient, seen: _Growing) -> None:
        now_s = self._clock_s()
        entry = sync.stat(seen.photo.path)  # the listing may be older than the file
        photo = CameraFile(seen.photo.path, entry.size_bytes, entry.written_s)
        if photo != seen.photo or not photo.size_bytes:
            seen.photo, seen.since_s = photo, now_s
        elif now_s - seen.since_s >= _REST_S:
            # Its end may have been written between the two questions: ask for the size once more.
            ended = self._is_whole(photo) and sync.stat(photo.path).size_bytes == photo.size_bytes
            seen.whole = ended or now_s - seen.since_s >= _SETTLED_S

    def _all(self, sync: SyncClient) -> Iterator[CameraFile]:
        seen: dict[str, _Folder] = {}
        waiting = [(DCIM, 0)]
        while waiting:
            path, depth = waiting.pop()
            entry = sync.stat(path)
            folder = self._folders.get(path)
            if folder is None or folder.may_have_changed(entry.written_s, self._clock_s()):
                folder = self._list(sync, path, entry.written_s)
            seen[path] = folder
            if depth < _MOST_FOLDERS:
                waiting += [(name, depth + 1) for name in folder.folders]
        self._folders = seen
        for folder in seen.values():
            yield from folder.files.values()

    def _list(self, sync: SyncClient, path: str, written_s: int) -> _Folder:
        begun_s = self._clock_s()
        entries = sync.list_folder(path)
        took_s = self._clock_s() - begun_s
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        files = {entry.name: _photo(path, entry) for entry in shown if entry.is_file and is_photo(entry.name)}
        folders = [f"{path}/{entry.name}" for entry in shown if entry.is_folder]
        return _Folder(written_s, begun_s, took_s, files, folders)


def list_photos(sync: SyncClient, folder: str = DCIM, depth: int = 0) -> Iterator[CameraFile]:
    """Yield the photos in a folder and those below, but for hidden ones (thumbnails, the bin, files being written)."""
    for entry in sync.list_folder(folder):
        if entry.name.startswith("."):
            continue
        if entry.is_folder and depth < _MOST_FOLDERS:
            yield from list_photos(sync, f"{folder}/{entry.name}", depth + 1)
        elif entry.is_file and is_photo(entry.name):
            yield _photo(folder, entry)


def ends_whole(shell: Callable[[str], str], photo: CameraFile) -> bool:
    """Whether a file ends as its format does: a JPEG with its marker, a HEIC with the end of its last box.

    False also where the phone has no tool to look, and for formats whose end is not told by their beginning (DNG).

    shell  runs a command on the phone and returns what it prints
    """
    quoted = shlex.quote(photo.path)
    if suffix(photo.path) in {".jpg", ".jpeg"}:
        return _bytes_of(shell(f"tail -c 2 {quoted} | od -An -tx1")) == b"\xff\xd9"
    if suffix(photo.path) not in {".heic", ".heif"}:
        return False
    at_bytes = 0
    for _ in range(_MOST_BOXES):  # ISO 14496-12: size and name of each box, one after another
        head = _bytes_of(shell(f"od -An -tx1 -j {at_bytes} -N 16 {quoted}"))
        size = int.from_bytes(head[:4]) if len(head) >= 8 else 0
        size = int.from_bytes(head[8:16]) if size == 1 else size
        if size < 8:
            return False
        at_bytes += size
        if at_bytes >= photo.size_bytes:
            return at_bytes == photo.size_bytes
    return False


def _bytes_of(dump: str) -> bytes:
    """Return what `od -An -tx1` shows; nothing where it says something else."""
    return bytes.fromhex(dump) if re.fullmatch(r"(\s*[0-9a-f]{2})*\s*", dump) else b""


def is_photo(name: str) -> bool:
    """Whether a name is a photo's."""
    return suffix(name) in _PHOTO_SUFFIXES


def suffix(path: str) -> str:
    """Return a path's ending, lower-case, with its dot."""
    return PurePosixPath(path).suffix.lower()


def _photo(folder: str, entry: Entry) -> CameraFile:
    return CameraFile(f"{folder}/{entry.name}", entry.size_bytes, entry.written_s)
