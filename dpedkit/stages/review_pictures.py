"""The pictures of pairs for the review page: drawn when they are first asked for, then kept."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dpedkit.align import Alignment, resample_dslr
from dpedkit.db import Corpus
from dpedkit.errors import CorpusError, DpedError
from dpedkit.files import write_atomic
from dpedkit.images import encode_jpeg, read_rgb, read_small, shrink
from dpedkit.stages.align_pictures import DSLR, PHONE, THUMB, TONED, draw_aligned, draw_apart
from dpedkit.types import U8
from dpedkit.workspace import Workspace

FULL_PHONE, FULL_DSLR = "full-phone.jpg", "full-dslr.jpg"
PICTURES = (THUMB, PHONE, DSLR, TONED, FULL_PHONE, FULL_DSLR)
_THUMB_PX = (240, 180)
_GRAY = 128
_AT_ONCE = 3  # photos are large: so many pairs are held in memory at a time
_KEY = re.compile(r"[0-9a-f]{24}")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of a JPEG file.

    lasting  what the same address will show from now on
    """

    data: bytes
    lasting: bool


class Pictures:
    """The pictures of a workspace's pairs; every method may be called from any thread."""

    def __init__(self, workspace: Workspace, corpus: Corpus) -> None:
        self._workspace, self._corpus = workspace, corpus
        self._folder = workspace.reports / "review"
        self._drawing, self._shrinking = threading.Semaphore(_AT_ONCE), threading.Semaphore(_AT_ONCE)
        self._locks: dict[str, threading.Lock] = {}

    def get(self, key: str, name: str, find: Callable[[], Row]) -> Picture:
        """Return one of PICTURES, drawn if that was not done before.

        key   `pictures_key` of the pair as the page knows it; where it has others by now, those are shown
        find  the pair's row of `Corpus.pairs`, if it is needed

        Raises:
            CorpusError: no such picture.
            ImageError: a photo cannot be read.
            StorageError: the cache cannot be written.
        """
        if name not in PICTURES or not _KEY.fullmatch(key):
            raise CorpusError(f"no picture {name!r}", "")
        try:
            return Picture(self._path(key, name).read_bytes(), lasting=True)
        except FileNotFoundError:
            row = find()
        now = pictures_key(row)
        path = self._path(now, name)
        with self._lock(f"{now} {name.startswith('full')} {name == THUMB}"):
            if not path.exists():
                with self._shrinking if name == THUMB else self._drawing:
                    passing = self._draw(row, path, name)
                if passing is not None:
                    return Picture(passing, lasting=False)
        if not path.exists():
            raise CorpusError(f"this pair has no {name}", "")
        return Picture(path.read_bytes(), lasting=now == key)

    def _lock(self, what: str) -> threading.Lock:
        return self._locks.setdefault(what, threading.Lock())

    def _path(self, key: str, name: str) -> Path:
        return self._folder / key / name if name in (PHONE, DSLR, TONED) else self._folder / f"{key}-{name}"

    def _draw(self, row: dict[str, Any], path: Path, name: str) -> bytes | None:
        """Draw a picture into `path`, with others where they come from the same work.

        Returns:
            A thumbnail that is not worth keeping: a photo is missing in it, and may come back.
        """
        phone, dslr = (self._workspace.root / row[side] for side in ("phone_path", "dslr_path"))
        limit_px = int(self._workspace.settings.images.limit_mp * 1e6)
        self._folder.mkdir(parents=True, exist_ok=True)
        if name == THUMB:
            photos = [_small(path, limit_px) for path in (phone, dslr)]
            thumb = _thumb(photos)
            if any(photo is None for photo in photos):
                return thumb
            write_atomic(path, thumb)
        elif name.startswith("full"):
            own = read_rgb(phone, limit_px=limit_px)
            if name == "full-dslr.jpg":
                other = read_rgb(dslr, limit_px=limit_px)
                own = (
                    resample_dslr(own.shape, other, alignment_of(self._corpus, row))[0]
                    if row["status"] == "aligned"
                    else other
                )
            write_atomic(path, encode_jpeg(own, quality=92, subsampling="4:4:4"))
        elif row["status"] == "aligned":
            draw_aligned(path.parent, phone, dslr, alignment_of(self._corpus, row), limit_px=limit_px)
        else:
            draw_apart(path.parent, phone, dslr, limit_px=limit_px)
        return None


def pictures_key(row: Row) -> str:
    """Return by what the pictures of a pair are known: another one when the pair was aligned again."""
    made_of = (row["alignment"], row["phone_sha256"], row["dslr_sha256"], row["status"], 2)
    return hashlib.sha256(repr(made_of).encode()).hexdigest()[:24]


def alignment_of(corpus: Corpus, row: Row) -> Alignment:
    """Return the alignment of a pair that has one."""
    return Alignment.from_dict(corpus.alignment_model(row["alignment"]))


def _small(path: Path, limit_px: int) -> U8 | None:
    """Return a photo that fits into _THUMB_PX, or nothing where it cannot be read."""
    try:
        photo = read_small(path, _THUMB_PX[0], limit_px=limit_px)
        return shrink(photo, max(min(_THUMB_PX[0], _THUMB_PX[1] * photo.shape[1] // photo.shape[0]), 1))
    except DpedError:
        return None


def _thumb(photos: Sequence[U8 | None]) -> bytes:
    """Return photos side by side, each in the middle of a field of _THUMB_PX, which stays gray without one."""
    width, height = _THUMB_PX
    canvas = np.full((height, width * len(photos), 3), _GRAY, np.uint8)
    for at, photo in enumerate(photos):
        if photo is not None:
            top, left = (height - photo.shape[0]) // 2, at * width + (width - photo.shape[1]) // 2
            canvas[top : top + photo.shape[0], left : left + photo.shape[1]] = photo
    return encode_jpeg(canvas, quality=80)
