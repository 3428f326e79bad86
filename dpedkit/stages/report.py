"""One self-contained HTML page about a workspace: scores, pictures, charts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dpedkit.files import write_atomic
from dpedkit.images import encode_jpeg, shrink
from dpedkit.stages.templates import render
from dpedkit.types import U8

_WHOLE_PX = 560
_DETAIL_PX = 200


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One row of the table; gain is over the phone's own photo, dB, None for that row itself."""

    phone: str
    name: str
    psnr: float
    ssim: float
    ms_ssim: float
    photos: int
    patches: int
    gain: float | None
    ours: bool
    note: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence, and whether it is good news."""

    text: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """The same view several times: whole and in detail, each (name, data URI)."""

    caption: str
    whole: Sequence[tuple[str, str]]
    detail: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Chart:
    """An SVG and what it shows."""

    caption: str
    svg: str


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page shows."""

    title: str
    summary: str
    stamps: Sequence[str]
    facts: Sequence[tuple[str, str]]
    scores: Sequence[ScoreRow]
    protocol: str
    verdicts: Sequence[Verdict]
    pictures: Sequence[Picture]
    charts: Sequence[Chart]
    made: Sequence[tuple[str, str]]


def write_report(path: Path, report: Report) -> None:
    """Write the page; it needs no other file and no network."""
    fields = {name: getattr(report, name) for name in Report.__slots__}
    write_atomic(path, render("report.html", fields).encode())


def make_picture(caption: str, views: Mapping[str, U8]) -> Picture:
    """Lay equally large views side by side, with the detail that has the most structure in the last of them."""
    *_, reference = views.values()
    y, x = liveliest(reference, _DETAIL_PX)
    detail = {name: view[y : y + _DETAIL_PX, x : x + _DETAIL_PX] for name, view in views.items()}
    return Picture(
        caption,
        [(name, data_uri(shrink(view, _WHOLE_PX))) for name, view in views.items()],
        [(name, data_uri(view)) for name, view in detail.items()],
    )


def liveliest(rgb: U8, side_px: int) -> tuple[int, int]:
    """Return (y, x) of the square with the strongest gradients."""
    gray = rgb.astype(np.float32).mean(axis=2)
    energy = np.abs(np.diff(gray, axis=0, append=gray[-1:])) + np.abs(np.diff(gray, axis=1, append=gray[:, -1:]))
    total = np.pad(energy.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))  # sums of squares by four look-ups
    side = min(side_px, *gray.shape)
    sums = total[side:, side:] - total[:-side, side:] - total[side:, :-side] + total[:-side, :-side]
    y, x = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(y), int(x)


def data_uri(rgb: U8) -> str:
    """Return a picture, uint8 [H, W, 3], as a JPEG that stands in the page itself."""
    jpeg = encode_jpeg(np.ascontiguousarray(rgb), quality=90, subsampling="4:4:4")
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode('ascii')}"
