"""What a run's report shows of photos: versions side by side, and where each artefact is worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from dpedkit.images import shrink
from dpedkit.stages.artefacts import KINDS, Look
from dpedkit.stages.report import Picture, data_uri, liveliest
from dpedkit.train.artefacts import Map
from dpedkit.types import F64, U8, Bools

WHOLE_PX, DETAIL_PX = 480, 240
OUTSIDE = 235  # the gray of what is not known
_CROP_SHARE = 1 / 3  # of the photo's shorter side, for colour and contrast
_NOISE_CROP_PX = 128
_SHOWN_PX = 300
_ROUGHNESS = 6

# what the maps' colours stand for: value -> RGB, straight in between
COLOUR_RAMP = ((0, (255, 255, 255)), (3, (255, 236, 160)), (8, (240, 120, 40)), (16, (120, 20, 30)))
CONTRAST_RAMP = ((-1, (40, 90, 170)), (0, (250, 250, 250)), (1, (190, 40, 40)))  # of the logarithm, base 2


@dataclass(frozen=True, slots=True)
class WorstPicture:
    """A crop where an artefact of a method is worst: views of it, each (name, data URI), the map last."""

    method: str
    kind: str
    shot: str
    value: float
    at: tuple[int, int]
    views: Sequence[tuple[str, str]]


class Gallery:
    """Keeps what is to be shown of all that `find_artefacts` looks at; no photo outlives its turn.

    shown  methods whose versions stand side by side, and whose worst places are looked for
    every  of the photos, which are side by side: each so many
    """

    def __init__(self, shown: Sequence[str], every: int) -> None:
        self._shown, self._every = shown, every
        self._seen: dict[str, bool] = {}
        self._whole: dict[str, list[tuple[str, str]]] = {}
        self._detail: dict[str, list[tuple[str, str]]] = {}
        self._last: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {}
        self._place: dict[str, tuple[int, int]] = {}
        self._worst: dict[tuple[str, str], WorstPicture] = {}

    def look(self, look: Look) -> None:
        """Take in a method's version of a photo."""
        shot = look.photo.shot
        if shot not in self._seen:
            self._seen[shot] = len(self._seen) % self._every == 0
            if self._seen[shot]:
                self._begin(look)
        if look.method.name not in self._shown:
            return
        if self._seen[shot]:
            self._add(shot, look.method.name, look.enhanced)
        for kind in KINDS:
            self._compare(kind, look)

    def pictures(self) -> list[Picture]:
        """Return the photos side by side: the phone's, each method's, and the DSLR's."""
        pictures = []
        for shot, whole in self._whole.items():
            last_whole, last_detail = self._last[shot]
            pictures.append(Picture(f"shot {shot}", [*whole, last_whole], [*self._detail[shot], last_detail]))
        return pictures

    def worst(self) -> list[WorstPicture]:
        """Return the worst place of each method and artefact."""
        order = list(KINDS)
        return sorted(
            self._worst.values(), key=lambda worst: (self._shown.index(worst.method), order.index(worst.kind))
        )

    def _begin(self, look: Look) -> None:
        shot, dslr = look.photo.shot, np.where(look.known[..., None], look.dslr, np.uint8(OUTSIDE))
        y, x = liveliest(shrink(look.dslr, WHOLE_PX), DETAIL_PX * WHOLE_PX // max(look.dslr.shape[1], WHOLE_PX))
        scale = max(look.dslr.shape[1] / WHOLE_PX, 1)
        self._place[shot] = round(y * scale), round(x * scale)
        self._whole[shot], self._detail[shot] = [], []
        self._add(shot, look.photo.pair.phone, look.photo.rgb)
        self._last[shot] = (
            ("DSLR", data_uri(shrink(dslr, WHOLE_PX))),
            ("DSLR", data_uri(self._crop(shot, dslr))),
        )

    def _add(self, shot: str, name: str, rgb: U8) -> None:
        self._whole[shot].append((name, data_uri(shrink(rgb, WHOLE_PX))))
        self._detail[shot].append((name, data_uri(self._crop(shot, rgb))))

    def _crop(self, shot: str, rgb: U8) -> U8:
        y, x = self._place[shot]
        return rgb[y : y + DETAIL_PX, x : x + DETAIL_PX]

    def _compare(self, kind: str, look: Look) -> None:
        """Keep the place where an artefact is worst on this photo, if no photo before had it worse."""
        value, at = getattr(look.judged.numbers, KINDS[kind]), getattr(look.judged, kind).worst()
        before = self._worst.get((look.method.name, kind))
        if value is None or at is None or (before is not None and before.value >= value):
            return
        rows, columns = _around(at, look.photo.rgb.shape, kind)
        dslr = np.where(look.known[..., None], look.dslr, np.uint8(OUTSIDE))
        views = [
            (name, data_uri(shrink(rgb[rows, columns], _SHOWN_PX)))
            for name, rgb in (
                (look.photo.pair.phone, look.photo.rgb),
                (look.method.name, look.enhanced),
                ("DSLR", dslr),
            )
        ]
        views.append(("map", data_uri(shrink(_drawn(kind, look, rows, columns), _SHOWN_PX))))
        self._worst[look.method.name, kind] = WorstPicture(look.method.name, kind, look.photo.shot, value, at, views)


def paint(values: F64, ramp: Sequence[tuple[float, tuple[int, int, int]]]) -> U8:
    """Return values [h, w] as colours [h, w, 3] along a ramp; NaN is gray."""
    stops = [stop for stop, _ in ramp]
    colours = np.stack([np.interp(values, stops, [rgb[c] for _, rgb in ramp]) for c in range(3)], axis=-1)
    unknown: Bools = np.isnan(values)
    colours[unknown] = OUTSIDE
    painted: U8 = np.rint(colours).astype(np.uint8)
    return painted


def _around(at: tuple[int, int], shape: tuple[int, ...], kind: str) -> tuple[slice, slice]:
    """Return the rows and columns of a square around a place, moved into the photo."""
    wanted = _NOISE_CROP_PX if kind == "noise" else round(min(shape[:2]) * _CROP_SHARE)
    side = min(max(wanted, 64), *shape[:2])
    left, top = (
        int(np.clip(place - side // 2, 0, length - side)) for place, length in zip(at, shape[1::-1], strict=True)
    )
    return slice(top, top + side), slice(left, left + side)


def _drawn(kind: str, look: Look, rows: slice, columns: slice) -> U8:
    """Return the map of an artefact within a crop; of noise the fine structure of the enhanced photo, made stronger."""
    if kind == "noise":
        gray = look.enhanced[rows, columns].astype(np.float64).mean(axis=2)
        rough = 128 + _ROUGHNESS * (gray - uniform_filter(gray, 5))
        return np.repeat(np.clip(rough, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if kind == "contrast":
        return paint(np.log2(np.maximum(_values(look.judged.contrast, rows, columns), 1e-3)), CONTRAST_RAMP)
    return paint(_values(look.judged.colour, rows, columns), COLOUR_RAMP)


def _values(shown: Map, rows: slice, columns: slice) -> F64:
    """Return a map's values for every pixel of a crop."""
    down, across = (
        np.minimum(np.arange(part.start, part.stop) // shown.cell, length - 1)
        for part, length in zip((rows, columns), shown.values.shape, strict=True)
    )
    values: F64 = shown.values[down[:, None], across]
    return values
