"""The photos on a camera's card, as libgphoto2 lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dpedkit.capture.camera import CameraFile

_SUFFIXES = (".jpg", ".jpeg", ".cr2", ".cr3", ".crw", ".nef", ".arw", ".dng", ".heic", ".heif", ".hif", ".tif")


def walk_photos(camera: Any, folder: str = "/") -> Iterator[CameraFile]:
    """Yield the photos in a folder and in those below it."""
    for name in camera.folder_list_files(folder).keys():  # noqa: SIM118 - libgphoto2's list is no dict
        if name.lower().endswith(_SUFFIXES):
            size_bytes = camera.file_get_info(folder, name).file.size
            yield CameraFile(f"{folder.rstrip('/')}/{name}", size_bytes)
    for name in camera.folder_list_folders(folder).keys():  # noqa: SIM118
        yield from walk_photos(camera, f"{folder.rstrip('/')}/{name}")


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
