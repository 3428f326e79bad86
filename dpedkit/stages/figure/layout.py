"""Where everything of a figure lies. Columns are equally wide; a pixel of a crop is a whole number of dots wide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dpedkit.errors import UsageError

MM_PER_INCH, PT_PER_INCH = 25.4, 72

FRAME_PT = 0.8
LABEL_PT, BELOW_PT, NOTE_PT = 8.0, 6.5, 6.0  # sizes of type
_LINE = 1.35  # height of a line of type, of its size
_GAP_PT = 4.0  # between crops; two frames and some white
_NARROWEST_PT = 24.0  # that a column may be
_OVERVIEWS_SHARE = 0.4  # of the width, at most


@dataclass(frozen=True, slots=True)
class Area:
    """A part of the figure, dots from its upper left corner."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What the rows of one photo are made of: the photo's size, and its boxes', px (width, height)."""

    photo: tuple[int, int]
    boxes: Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Layout:
    """A figure's places.

    size       of it all, dots
    dpi        dots per inch
    zoom       dots per pixel of the widest box
    headings   a line above each column, the overviews' first
    overviews  of each photo; empty where none are wanted
    crops      [rows][columns]
    below      [rows][columns], a line each; empty where nothing is to stand there
    notes      lines at the foot
    """

    size: tuple[int, int]
    dpi: float
    zoom: int
    headings: list[Area]
    overviews: list[Area]
    crops: list[list[Area]]
    below: list[list[Area]]
    notes: list[Area]


def lay_out(
    shapes: Sequence[Shape], columns: int, *, width_mm: float, dpi: int, overview: bool, below: bool, notes: int
) -> Layout:
    """Return the layout of a figure `width_mm` wide whose resolution is the lowest that is at least `dpi`.

    columns   of crops
    overview  whether whole photos stand in a column before them
    below     whether each crop has a line under it
    notes     lines at the foot

    Raises:
        UsageError: the columns would be too narrow.
    """
    full = width_mm / MM_PER_INCH * PT_PER_INCH - 2 * FRAME_PT
    gaps = (columns - 1 + overview) * _GAP_PT
    line = BELOW_PT * _LINE * below
    column = (full - gaps) / columns
    if overview:
        column = _beside_overviews(shapes, columns, full - gaps, _GAP_PT + line)
    if column < _NARROWEST_PT:
        raise UsageError(
            f"{columns} columns in {width_mm:g} mm would be {column / PT_PER_INCH * MM_PER_INCH:.1f} mm wide each",
            "choose fewer with --method, or a larger --width",
        )
    widest = max(width for shape in shapes for width, _ in shape.boxes)
    zoom = max(math.ceil(dpi * column / PT_PER_INCH / widest - 1e-6), 1)
    return _in_dots(
        shapes,
        columns,
        zoom=zoom,
        column=zoom * widest,
        per_pt=zoom * widest / column,
        overviews_pt=full - gaps - columns * column if overview else 0,
        width_mm=width_mm,
        below=below,
        notes=notes,
    )


def _beside_overviews(shapes: Sequence[Shape], columns: int, free: float, between: float) -> float:
    """Return how wide a column is, pt, if the overviews are as high as the crops beside them, and not too wide.

    free     what columns and overviews have together, pt
    between  rows of crops, pt
    """
    narrowest = free * (1 - _OVERVIEWS_SHARE) / columns
    for_each = []
    for shape in shapes:
        aspect = shape.photo[0] / shape.photo[1]
        heights = sum(height / width for width, height in shape.boxes)
        for_each.append((free - aspect * (len(shape.boxes) - 1) * between) / (columns + aspect * heights))
    return max(min(for_each), narrowest)


def _in_dots(
    shapes: Sequence[Shape],
    columns: int,
    *,
    zoom: int,
    column: int,
    per_pt: float,
    overviews_pt: float,
    width_mm: float,
    below: bool,
    notes: int,
) -> Layout:
    """Lay out from top to bottom. column: dots; per_pt: dots per pt; overviews_pt: width of their column, 0: none."""

    def dots(pt: float) -> int:
        return max(round(pt * per_pt), 1)

    frame, gap, line = dots(FRAME_PT), dots(_GAP_PT), dots(BELOW_PT * _LINE)
    margin, wide = frame, dots(overviews_pt) if overviews_pt else 0
    first = margin + wide + gap * bool(wide)
    lefts = [first + index * (column + gap) for index in range(columns)]
    heading = dots(LABEL_PT * _LINE)
    headings = [Area(left, 0, column, heading) for left in lefts]
    if wide:
        headings.insert(0, Area(margin, 0, wide, heading))
    overviews: list[Area] = []
    crops: list[list[Area]] = []
    lines: list[list[Area]] = []
    top = heading + frame
    bottom = top
    for shape in shapes:
        start = top
        for box_width, box_height in shape.boxes:
            height = round(column * box_height / box_width)
            crops.append([Area(left, top, column, height) for left in lefts])
            bottom = top + height
            if below:
                lines.append([Area(left, bottom + frame, column, line) for left in lefts])
            top = bottom + (line if below else 0) + gap
        if wide:
            overviews.append(_fitted(shape.photo, Area(margin, start, wide, bottom - start)))
    bottom += frame + (line if below else 0)
    note = dots(NOTE_PT * _LINE)
    width = lefts[-1] + column + margin
    feet = [Area(margin, bottom + frame + index * note, width - 2 * margin, note) for index in range(notes)]
    if feet:
        bottom = feet[-1].top + note
    return Layout((width, bottom), width / width_mm * MM_PER_INCH, zoom, headings, overviews, crops, lines, feet)


def _fitted(size: tuple[int, int], room: Area) -> Area:
    """Return the place of a photo of some size, px, at the top of a room and in its middle."""
    scale = min(room.width / size[0], room.height / size[1])
    width, height = max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)
    return Area(room.left + (room.width - width) // 2, room.top, width, height)
