"""`dpedkit figure`: choose photos and places, let every method make its version of whole photos, cut, lay out, draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from dpedkit.db import Corpus, open_corpus, using_shards
from dpedkit.errors import CorpusError, UsageError
from dpedkit.files import write_atomic
from dpedkit.images import shrink
from dpedkit.progress import Progress, track
from dpedkit.stages.figure.asking import USUAL_CROP_PX, Wish, check_box, command, find_shot
from dpedkit.stages.figure.drawing import COLOURS, Format, Overview, Row, Sheet, draw, unwritable
from dpedkit.stages.figure.layout import MM_PER_INCH, Layout, Shape, lay_out
from dpedkit.stages.held_out import HeldOut, HeldOutPhotos, dslr_on_phone, find_held_out
from dpedkit.stages.methods import DSLR, PHONE, Method, find_methods, named_methods
from dpedkit.stages.places import Rectangle, View, find_place
from dpedkit.train.metrics import psnr, ssim
from dpedkit.types import U8
from dpedkit.workspace import Workspace

_FORMATS: dict[str, Format] = {".png": "png", ".pdf": "pdf"}
_USUAL_PHOTOS = 3
_WHOLE_PX = 1600  # width of a photo that is shown whole: more than a paper's print can hold


@dataclass(frozen=True, slots=True)
class Column:
    """A method of the figure: what is written over it, and what must be said of it ("" where nothing must)."""

    name: str
    label: str
    stamp: str


@dataclass(frozen=True, slots=True)
class Place:
    """A row of the figure: a box of a shot's photo, px.

    chosen  whether the box was found here, since nobody named one
    psnr    method -> of its crop against the DSLR's, dB; empty where nothing was measured
    ssim    likewise
    """

    shot: str
    x: int
    y: int
    width: int
    height: int
    chosen: bool
    psnr: dict[str, float] = field(default_factory=dict)
    ssim: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FigureReport:
    """What was drawn.

    file     None: nothing was written
    size_mm  width, height
    size_px  of a PNG; of a PDF's page at `dpi`
    zoom     dots per pixel of the widest box
    command  makes the same file again
    """

    file: str | None
    phone: str
    split: str
    columns: list[Column]
    rows: list[Place]
    size_mm: tuple[float, float]
    size_px: tuple[int, int]
    dpi: float
    zoom: int
    command: str


def make_figure(
    workspace: Workspace,
    target: Path,
    wish: Wish,
    *,
    device: str,
    overwrite: bool,
    dry_run: bool,
    progress: Progress,
) -> FigureReport:
    """Draw a figure of the same places by several methods; the file is whole or not there.

    Every method sees whole photos, as `dpedkit enhance` does: a crop is cut from what it made of all of it.

    Raises:
        UsageError: a photo, box or method that is not there, a box that the DSLR does not show, or a bad target.
        StudyError: a photo has no place of the wanted size.
        CorpusError: there are no photos in the split.
        ImageError: a photo, or a picture that was made elsewhere, is missing, unreadable or of another size.
    """
    form = _form(target, overwrite=overwrite)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        patches, phones = find_held_out(corpus, wish.split, [wish.phone] if wish.phone else [])
        if len(phones) > 1:
            raise UsageError(f"there are photos of {', '.join(phones)}", "say with --phone whose the figure shows")
        wish = _with_shots(replace(wish, phone=phones[0]), corpus, patches)
        photos = HeldOutPhotos(workspace, corpus, patches[patches["shot"].isin(wish.photos)], wish.phone)
        if not photos.has_photos:
            raise CorpusError(f"of {wish.phone} only patches were given", "a figure shows photos: import them")
        wish = _with_methods(wish, workspace, corpus)
        methods, columns = _columns(workspace, corpus, photos.paths, wish, device, progress)
        wish = replace(wish, methods=tuple((each.name, dict(wish.methods).get(each.name, "")) for each in columns))
        scenes = {}
        for photo in track(progress, "figure", photos, len(photos)):
            scenes[photo.shot] = _scene(workspace, corpus, photo, wish, None if dry_run else methods)
    ordered = [scenes[shot] for shot in wish.photos]
    notes = [f"{column.label}: {column.stamp}" for column in columns if column.stamp]
    if wish.metrics and all(column.name != DSLR for column in columns):
        notes.append("Below each crop: PSNR (dB) / SSIM against the DSLR's.")
    layout = lay_out(
        [Shape(scene.size, [(row.width, row.height) for row in scene.rows]) for scene in ordered],
        len(columns),
        width_mm=wish.width_mm,
        dpi=wish.dpi,
        overview=wish.overview,
        below=wish.metrics,
        notes=len(notes),
    )
    if not dry_run:
        write_atomic(target, draw(_sheet(ordered, columns, notes, wish), layout, form, wish.filter))
    rows = [row for scene in ordered for row in scene.rows]
    return _report(None if dry_run else target, command(target, _exact(wish, rows)), wish, columns, rows, layout)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the figure keeps of a photo: its rows, their crops by column, and the whole, if it is shown."""

    size: tuple[int, int]
    rows: list[Place]
    crops: list[list[U8]]
    whole: U8 | None


def _form(target: Path, *, overwrite: bool) -> Format:
    if target.suffix.lower() not in _FORMATS:
        raise UsageError(f"{target} ends neither with .pdf nor with .png", f"write -o {target.with_suffix('.pdf')}")
    if not target.parent.is_dir():
        raise UsageError(f"no folder {target.parent}", "make it, or correct -o")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} is there already", "--overwrite replaces it")
    return _FORMATS[target.suffix.lower()]


def _with_shots(wish: Wish, corpus: Corpus, patches: pd.DataFrame) -> Wish:
    """Return the wish with the shots that its photos' names stand for; some, evenly spaced, where none are named."""
    shots = sorted({str(shot) for shot in patches.loc[patches["phone"] == wish.phone, "shot"]})
    every = corpus.shots()
    splits = dict(zip(every["shot"], every["split"].fillna(""), strict=True))

    def shot_of(photo: str) -> str:
        return find_shot(photo, wish.phone, shots, splits, wish.split)

    boxes = tuple((photo and shot_of(photo), box) for photo, box in wish.boxes)
    named = dict.fromkeys([*map(shot_of, wish.photos), *(shot for shot, _ in boxes if shot)])
    if not named:
        count = min(_USUAL_PHOTOS, len(shots))
        named = dict.fromkeys(shots[index * (len(shots) - 1) // max(count - 1, 1)] for index in range(count))
    return replace(wish, photos=tuple(named), boxes=boxes)


def _with_methods(wish: Wish, workspace: Workspace, corpus: Corpus) -> Wish:
    """Return the wish with the methods' own names."""
    names, labels = [name for name, _ in wish.methods], [label for _, label in wish.methods]
    found = find_methods(workspace, corpus, wish.phone, names, wish.externals)
    return replace(wish, methods=tuple(zip(found, labels, strict=True)))


def _columns(
    workspace: Workspace, corpus: Corpus, judged: Sequence[Path], wish: Wish, device: str, progress: Progress
) -> tuple[dict[str, Method], list[Column]]:
    """Return the methods by their names, and the columns; the DSLR has a column and is no method."""
    labels = dict(wish.methods)
    names = [name for name in labels if name != DSLR] if labels else None
    made = named_methods(
        workspace, corpus, wish.phone, judged, progress, names=names, externals=wish.externals, device=device
    )
    trained = set(corpus.runs()["run"])  # of an imported model the note says where it came from
    stamps = {method.name: method.note for method in made if method.name in trained}
    short = {method.name: method.name.removeprefix(f"{wish.phone}-") for method in made}
    short |= {PHONE: wish.phone, DSLR: "DSLR"}
    columns = [
        Column(name, labels.get(name) or short[name], stamps.get(name, ""))
        for name in (labels or [*(method.name for method in made), DSLR])
    ]
    for column in columns:
        if absent := unwritable(f"{column.label}{column.stamp}"):
            raise UsageError(
                f"{column.label}: the figure's fonts have no {absent}", "--method NAME=LABEL writes another"
            )
    return {method.name: method for method in made}, columns


def _scene(
    workspace: Workspace, corpus: Corpus, photo: HeldOut, wish: Wish, cut_from: dict[str, Method] | None
) -> _Scene:
    """Find a photo's boxes, and cut them from every column's version of the whole photo.

    cut_from  what makes the versions; None: find the boxes alone
    """
    dslr, known = dslr_on_phone(workspace, corpus, photo.pair, photo.rgb.shape)
    boxes = [box for shot, box in wish.boxes if shot in ("", photo.shot)]
    compared = wish.metrics or DSLR in dict(wish.methods)
    for box in boxes:
        check_box(photo.shot, box, known, compared=compared)
    chosen = not boxes
    if chosen:
        boxes = [find_place(photo.shot, dslr, known, View(wish.crop_px, 0))]
    rows = [Place(photo.shot, box.x, box.y, box.width, box.height, chosen) for box in boxes]
    crops: list[list[U8]] = [[] for _ in boxes]
    if cut_from is not None:
        for name, _ in wish.methods:
            whole = dslr if name == DSLR else cut_from[name].whole(photo)
            for row, cut, box in zip(rows, crops, boxes, strict=True):
                cut.append(box.of(whole).copy())
                if wish.metrics and name != DSLR:
                    row.psnr[name], row.ssim[name] = psnr(cut[-1], box.of(dslr)), ssim(cut[-1], box.of(dslr))
    height, width = known.shape
    return _Scene((width, height), rows, crops, shrink(photo.rgb, _WHOLE_PX) if wish.overview else None)


def _sheet(scenes: Sequence[_Scene], columns: Sequence[Column], notes: Sequence[str], wish: Wish) -> Sheet:
    rows = []
    for scene in scenes:
        for index, (place, crops) in enumerate(zip(scene.rows, scene.crops, strict=True)):
            below = [_below(place, column.name) for column in columns] if wish.metrics else []
            rows.append(Row(crops, below, COLOURS[index % len(COLOURS)] if wish.overview else ""))
    overviews = [
        Overview(scene.whole, scene.size, [Rectangle(row.x, row.y, row.width, row.height) for row in scene.rows])
        for scene in scenes
        if scene.whole is not None
    ]
    headings = [column.label for column in columns]
    return Sheet([""] * wish.overview + headings, rows, overviews, notes)


def _below(place: Place, name: str) -> str:
    if name == DSLR:
        return "PSNR / SSIM"
    close = place.psnr[name]
    return f"{'∞' if math.isinf(close) else f'{close:.2f}'} / {place.ssim[name]:.3f}"


def _exact(wish: Wish, rows: Sequence[Place]) -> Wish:
    """Return the wish with the boxes that were chosen for it."""
    boxes = tuple((row.shot, Rectangle(row.x, row.y, row.width, row.height)) for row in rows)
    return replace(wish, photos=(), boxes=boxes, crop_px=USUAL_CROP_PX)


def _report(
    target: Path | None, again: str, wish: Wish, columns: list[Column], rows: list[Place], layout: Layout
) -> FigureReport:
    return FigureReport(
        file=str(target) if target else None,
        phone=wish.phone,
        split=wish.split,
        columns=columns,
        rows=rows,
        size_mm=(wish.width_mm, layout.size[1] / layout.dpi * MM_PER_INCH),
        size_px=layout.size,
        dpi=layout.dpi,
        zoom=layout.zoom,
        command=again,
    )
