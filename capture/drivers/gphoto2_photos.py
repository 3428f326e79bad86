"""The photos on a camera's card, as libgphoto2 lists and reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import gphoto2 as gp

from dpedkit.capture.camera import CameraFile

_SUFFIXES = (".jpg", ".jpeg", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".dng", ".heic", ".heif", ".hif", ".tif")
_PIECE_BYTES = 1 << 20  # some EOS bodies fail on larger ones


def walk_photos(camera: Any, folder: str = "/") -> Iterator[CameraFile]:
    """Yield the photos in a folder and in those below it."""
    for name in camera.folder_list_files(folder).keys():  # noqa: SIM118 - libgphoto2's list is no dict
        if name.lower().endswith(_SUFFIXES):
            size_bytes = camera.file_get_info(folder, name).file.size
            yield CameraFile(f"{folder.rstrip('/')}/{name}", size_bytes)
    for name in camera.folder_list_folders(folder).keys():  # noqa: SIM118
        yield from walk_photos(camera, f"{folder.rstrip('/')}/{name}")


def read_photo(camera: Any, photo: CameraFile) -> Iterator[memoryview]:
    """Yield a photo's bytes piece by piece; a camera that cannot read in pieces gives them all at once.

    A piece is valid until the next one is asked for.
    """
    folder, _, name = photo.path.rpartition("/")
    place = (folder or "/", name, gp.GP_FILE_TYPE_NORMAL)
    buffer = memoryview(bytearray(_PIECE_BYTES))
    offset = 0
    try:
        while count := camera.file_read(*place, offset, buffer):
            yield buffer[:count]
            offset += count
    except gp.GPhoto2Error as error:
        if error.code != gp.GP_ERROR_NOT_SUPPORTED:
            raise
        whole = camera.file_get(*place)  # must outlive the view of its data
        yield memoryview(whole.get_data_and_size())


def one_shot(photos: Iterable[CameraFile], suffixes: Sequence[str]) -> list[CameraFile]:
    """Return one photo per suffix, all of the latest name that has them all; empty where there is none yet.

    suffixes  lower case with the dot; a RAW and its JPEG differ in nothing else
    """
    stems: dict[str, dict[str, CameraFile]] = {}
    for photo in photos:
        stem, dot, suffix = photo.name.rpartition(".")
        if photo.size_bytes > 0:
            stems.setdefault(stem, {})[f"{dot}{suffix.lower()}"] = photo
    whole = [stem for stem, found in stems.items() if found.keys() >= set(suffixes)]
    return [stems[max(whole)][suffix] for suffix in suffixes] if whole else []
