"""What a figure is asked to show: its photos, boxes and columns, found by the names that people give them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dpedkit.db import SplitName
from dpedkit.errors import UsageError
from dpedkit.settings import nearest
from dpedkit.stages.places import Rectangle
from dpedkit.types import Bools

Filter = Literal["nearest", "lanczos"]

USUAL_WIDTH_MM, USUAL_DPI, USUAL_CROP_PX = 175.0, 300, 200  # two columns of a paper; what publishers ask for
_BOX = re.compile(r"(?:(?P<photo>.*):)?(?P<numbers>-?\d+,-?\d+,-?\d+,-?\d+)")
_TOLD = 6  # so many names are told of all there are


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for.

    phone      "": the only one
    photos     as people name them; see `find_shot`
    boxes      (photo, box), px; photo "": of every photo
    methods    (method, what is written over its column; "": its name); empty: phone, finished runs, externals, DSLR
    externals  name and folder of pictures that were made elsewhere
    crop_px    side of the boxes that are chosen where none is given
    """

    phone: str = ""
    split: SplitName = "test"
    photos: tuple[str, ...] = ()
    boxes: tuple[tuple[str, Rectangle], ...] = ()
    methods: tuple[tuple[str, str], ...] = ()
    externals: tuple[tuple[str, Path], ...] = ()
    crop_px: int = USUAL_CROP_PX
    overview: bool = False
    metrics: bool = False
    width_mm: float = USUAL_WIDTH_MM
    dpi: int = USUAL_DPI
    filter: Filter = "nearest"


def parse_box(text: str) -> tuple[str, Rectangle]:
    """Return the photo, "" where none is named, and the box that "X,Y,W,H" or "PHOTO:X,Y,W,H" stands for.

    Raises:
        UsageError: it is neither, or the box holds no pixel.
    """
    found = _BOX.fullmatch(text)
    if found is None:
        raise UsageError(f"--box {text}: neither X,Y,W,H nor PHOTO:X,Y,W,H", "write it as --box 800,400,200,150")
    x, y, width, height = map(int, found["numbers"].split(","))
    if width <= 0 or height <= 0:
        raise UsageError(f"--box {text}: {width} x {height} px hold nothing", "width and height are at least 1")
    return found["photo"] or "", Rectangle(x, y, width, height)


def find_shot(word: str, phone: str, shots: Sequence[str], splits: Mapping[str, str], split: str) -> str:
    """Return the shot of a split that a photo's name stands for: the shot's own, its last part, or just its number.

    shots   of the phone, in the split
    splits  every shot -> its split

    Raises:
        UsageError: there is none, or more than one.
    """
    bare = word.removesuffix(f"_{phone}")
    found = _matching(bare, shots)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"photo {word!r} may be {_some(found)}", "name it whole")
    here = f"photos of {phone} in the {split} split: {_some(shots)}"
    if others := _matching(bare, list(splits)):
        where = splits[others[0]]
        if where not in ("", split):
            raise UsageError(f"photo {others[0]} is in the {where} split", f"say --split {where}; or {here}")
        raise UsageError(f"{others[0]}: no photo of {phone} with patches in use", here)
    known = [name for shot in shots for name in (shot, shot.rpartition("/")[2])]
    raise UsageError(f"no photo {word!r}{nearest(bare, known)}", here)


def check_box(photo: str, box: Rectangle, known: Bools, *, compared: bool) -> None:
    """Refuse a box that reaches beyond its photo, or beyond what the DSLR shows of it.

    known     [H, W] where the DSLR shows anything
    compared  whether the DSLR is in the figure at all

    Raises:
        UsageError: it does; with the nearest box that would do.
    """
    height, width = known.shape
    shown = f"box {as_text(box)} of {photo}"
    if box.x < 0 or box.y < 0 or box.x + box.width > width or box.y + box.height > height:
        raise UsageError(f"{shown} reaches beyond the photo", f"the photo has {width} x {height} px")
    if not compared or bool(known[box.y : box.y + box.height, box.x : box.x + box.width].all()):
        return
    other = _nearest_known(box, known)
    instead = f"the nearest that it shows: --box {photo}:{as_text(other)}" if other else "make it smaller"
    raise UsageError(f"{shown} reaches beyond what the DSLR shows", instead)


def as_text(box: Rectangle) -> str:
    """Return a box as `parse_box` reads it."""
    return f"{box.x},{box.y},{box.width},{box.height}"


def command(target: Path, wish: Wish) -> str:
    """Return the command that asks for the same."""
    usual = Wish()
    words = ["dpedkit", "figure", "-o", str(target)]
    words += ["--phone", wish.phone] if wish.phone else []
    words += ["--split", wish.split] if wish.split != usual.split else []
    words += [word for photo in wish.photos for word in ("--photo", photo)]
    for photo, box in wish.boxes:
        words += ["--box", f"{photo}:{as_text(box)}" if photo else as_text(box)]
    for name, label in wish.methods:
        words += ["--method", f"{name}={label}" if label else name]
    words += [word for name, folder in wish.externals for word in ("--external", f"{name}={folder}")]
    words += ["--crop", str(wish.crop_px)] if wish.crop_px != usual.crop_px else []
    words += ["--overview"] if wish.overview else []
    words += ["--metrics"] if wish.metrics else []
    words += ["--width", f"{wish.width_mm!r}mm"] if wish.width_mm != usual.width_mm else []
    words += ["--dpi", str(wish.dpi)] if wish.dpi != usual.dpi else []
    words += ["--filter", wish.filter] if wish.filter != usual.filter else []
    return shlex.join(words)


def _matching(word: str, shots: Sequence[str]) -> list[str]:
    if word in shots:
        return [word]
    ends = {shot: shot.rpartition("/")[2] for shot in shots}
    return [
        shot
        for shot, end in ends.items()
        if end == word or (end.isdigit() and word.isdigit() and int(end) == int(word))
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_TOLD]) + (f" and {len(names) - _TOLD} more" if len(names) > _TOLD else "")


def _nearest_known(box: Rectangle, known: Bools) -> Rectangle | None:
    """Return the box of the same size, nearest to it, that the DSLR shows whole."""
    total = np.pad((~known).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    down, across = box.height, box.width
    unknown = total[down:, across:] - total[:-down, across:] - total[down:, :-across] + total[:-down, :-across]
    ys, xs = np.nonzero(unknown == 0)
    if not len(xs):
        return None
    best = int(np.argmin((xs - box.x) ** 2 + (ys - box.y) ** 2))
    return Rectangle(int(xs[best]), int(ys[best]), box.width, box.height)
