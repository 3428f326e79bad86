"""A figure as PNG or PDF, by matplotlib: the same layout, the same bytes every time, text as text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle as Patch
from matplotlib.textpath import TextPath
from PIL import Image

from dpedkit.stages.figure.asking import Filter
from dpedkit.stages.figure.layout import BELOW_PT, FRAME_PT, LABEL_PT, NOTE_PT, PT_PER_INCH, Area, Layout
from dpedkit.stages.places import Rectangle
from dpedkit.types import U8

Format = Literal["png", "pdf"]

# Bright, and told apart by the colour-blind (Okabe and Ito, 2008).
COLOURS = ("#d55e00", "#56b4e9", "#f0e442", "#009e73", "#cc79a7", "#0072b2", "#e69f00")
_FONTS = ("STIXGeneral", "DejaVu Sans")  # both come with matplotlib, so that every machine draws the same
_SMALLEST_PT = 4.0
_INK, _WARNING = "#000000", "#b00020"
_HALO_PT = 0.4  # of dark around a box, so that it is seen on every photo


@dataclass(frozen=True, slots=True)
class Overview:
    """A whole photo, uint8 [H, W, 3], that may be reduced; its own size (width, height); and the boxes on it, px."""

    rgb: U8
    size: tuple[int, int]
    boxes: Sequence[Rectangle]


@dataclass(frozen=True, slots=True)
class Row:
    """A box: its crop by each method, uint8 [h, w, 3], what stands under each, and the colour of its frame, if any."""

    crops: Sequence[U8]
    below: Sequence[str]
    colour: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a figure shows; `notes` stand at its foot."""

    headings: Sequence[str]
    rows: Sequence[Row]
    overviews: Sequence[Overview]
    notes: Sequence[str]


def draw(sheet: Sheet, layout: Layout, form: Format, how: Filter) -> bytes:
    """Return the file. In a PDF crops keep their own pixels if `how` is nearest; in a PNG each is magnified."""
    with mpl.rc_context():
        mpl.rcdefaults()  # not what this user's matplotlibrc says
        mpl.rcParams["font.family"] = list(_FONTS)
        mpl.rcParams["text.parse_math"] = False
        mpl.rcParams["pdf.fonttype"] = 42  # TrueType: publishers refuse Type 3
        mpl.rcParams["image.composite_image"] = False  # each crop stays a picture of its own, in its own pixels
        board = _Board(layout, form)
        _fill(board, sheet, how)
        return board.saved()


def magnified(rgb: U8, area: Area, how: Filter) -> U8:
    """Return a picture, uint8 [h, w, 3], as large as an area."""
    resampling = Image.Resampling.NEAREST if how == "nearest" else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(np.ascontiguousarray(rgb)).resize((area.width, area.height), resampling))


class _Board:
    """A canvas in three layers, whose coordinates are the layout's dots: frames and text, pictures, boxes on them."""

    def __init__(self, layout: Layout, form: Format) -> None:
        self._layout, self._form = layout, form
        # a hundredth of a dot more, since the canvas is cut to whole dots
        inches = [(length + 0.01) / layout.dpi for length in layout.size]
        self._figure = Figure(figsize=(inches[0], inches[1]), dpi=layout.dpi)
        self._under, self._middle, self._over = (self._layer(order) for order in range(3))
        self._middle.set_ylim(0, layout.size[1])  # upwards, or a PDF's pictures would be stored upside down

    def picture(self, area: Area, rgb: U8) -> None:
        """Show a picture, which in a PNG has the area's size."""
        up = self._layout.size[1] - area.top - area.height
        if self._form == "png":
            self._figure.figimage(rgb, area.left, up, origin="upper", zorder=1)
        else:
            extent = (area.left, area.left + area.width, up, up + area.height)
            self._middle.imshow(rgb[::-1], origin="lower", extent=extent, interpolation="none", aspect="auto")

    def frame(self, area: Area, colour: str) -> None:
        """Draw a frame around a picture: a sheet of whole dots below it, so that it covers none and leaves no gap."""
        out = max(round(FRAME_PT / PT_PER_INCH * self._layout.dpi), 1)
        sheet = Patch((area.left - out, area.top - out), area.width + 2 * out, area.height + 2 * out)
        sheet.set(facecolor=colour, linewidth=0, snap=True)
        self._under.add_patch(sheet)

    def box(self, left: float, top: float, width: float, height: float, colour: str) -> None:
        """Draw a box on pictures, dots."""
        self._over.add_patch(_box((left, top), width, height, _INK, FRAME_PT + 2 * _HALO_PT))
        self._over.add_patch(_box((left, top), width, height, colour, FRAME_PT))

    def text(self, area: Area, text: str, size_pt: float, *, colour: str = _INK, middle: bool = True) -> None:
        """Write a line into an area."""
        x = area.left + area.width / 2 if middle else area.left
        y = area.top + area.height * 0.72  # where letters stand, so that lines agree whatever their letters
        align = "center" if middle else "left"
        self._under.text(x, y, text, fontsize=size_pt, color=colour, ha=align, va="baseline")

    def saved(self) -> bytes:
        """Return the file, without any date."""
        stream = io.BytesIO()
        if self._form == "pdf":
            nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
            self._figure.savefig(stream, format="pdf", metadata=nothing)
        else:
            self._figure.savefig(stream, format="rgba")
            width, height = self._layout.size
            rgb = np.frombuffer(stream.getvalue(), np.uint8).reshape(height, width, 4)[..., :3]
            stream = (
                io.BytesIO()
            )  # through Pillow, since matplotlib's PNG has an alpha channel, which print shops refuse
            Image.fromarray(np.ascontiguousarray(rgb)).save(stream, "PNG", dpi=(self._layout.dpi,) * 2)
        return stream.getvalue()

    def _layer(self, order: int) -> Axes:
        axes = self._figure.add_axes((0, 0, 1, 1), zorder=order)
        axes.set_axis_off()
        axes.set_autoscale_on(False)
        axes.set_xlim(0, self._layout.size[0])
        axes.set_ylim(self._layout.size[1], 0)
        return axes


def _fill(board: _Board, sheet: Sheet, how: Filter) -> None:
    layout = board._layout
    size = fitting_pt(sheet.headings, layout.headings, LABEL_PT, layout.dpi)
    for heading, area in zip(sheet.headings, layout.headings, strict=True):
        board.text(area, heading, size)
    for overview, area in zip(sheet.overviews, layout.overviews, strict=True):
        board.picture(area, magnified(overview.rgb, area, "lanczos"))
        scale = area.width / overview.size[0]
        for index, box in enumerate(overview.boxes):
            place = (area.left + box.x * scale, area.top + box.y * scale, box.width * scale, box.height * scale)
            board.box(*place, COLOURS[index % len(COLOURS)])
    for row, areas in zip(sheet.rows, layout.crops, strict=True):
        for crop, area in zip(row.crops, areas, strict=True):
            own_pixels = board._form == "pdf" and how == "nearest"
            board.picture(area, crop if own_pixels else magnified(crop, area, how))
            if row.colour:
                board.frame(area, row.colour)
    if layout.below:
        areas = [area for row in layout.below for area in row]
        below = [text for row in sheet.rows for text in row.below]
        size = fitting_pt(below, areas, BELOW_PT, layout.dpi)
        for text, area in zip(below, areas, strict=True):
            board.text(area, text, size)
    size = fitting_pt(sheet.notes, layout.notes, NOTE_PT, layout.dpi)
    for note, area in zip(sheet.notes, layout.notes, strict=True):
        board.text(area, note, size, colour=_WARNING, middle=False)


def fitting_pt(lines: Sequence[str], areas: Sequence[Area], usual_pt: float, dpi: float) -> float:
    """Return the size of type at which each line fits into its area, the usual one if it can be."""
    font = FontProperties(family=list(_FONTS))
    size = usual_pt
    for line, area in zip(lines, areas, strict=True):
        if line.strip():
            width = TextPath((0, 0), line, size=usual_pt, prop=font).get_extents().width
            size = min(size, usual_pt * area.width / dpi * PT_PER_INCH / max(width, 1e-6))
    return max(size, _SMALLEST_PT)


def unwritable(text: str) -> str:
    """Return the characters of a text that a figure's fonts do not have."""
    fonts = [get_font(findfont(FontProperties(family=name))) for name in _FONTS]
    return "".join(sign for sign in text if not any(font.get_char_index(ord(sign)) for font in fonts))


def _box(corner: tuple[float, float], width: float, height: float, colour: str, line_pt: float) -> Patch:
    return Patch(corner, width, height, fill=False, edgecolor=colour, linewidth=line_pt, joinstyle="miter")
