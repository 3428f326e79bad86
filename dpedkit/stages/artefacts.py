"""Measure what enhancers are known to spoil, photo by photo, and find the worst."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dpedkit.db import Corpus, SplitName, open_corpus, using_shards
from dpedkit.errors import ImageError
from dpedkit.progress import Progress
from dpedkit.stages.held_out import HeldOut, HeldOutPhotos, dslr_on_phone, find_held_out
from dpedkit.stages.methods import Kind, Method, all_methods
from dpedkit.stages.score_table import Estimate, estimate_mean
from dpedkit.train.artefacts import Artefacts, Judged, Scene
from dpedkit.types import U8, Bools
from dpedkit.workspace import Workspace

KINDS = {"colour": "colour_dslr", "contrast": "contrast_dslr", "noise": "noise_gain"}
"""Each artefact and the number that says which photo is its worst."""

WORDS = (
    "colour: CIEDE2000 of blurred photos, 1 is just seen; contrast: deviation of luma in windows a fortieth of the "
    "photo wide, over the phone's or the DSLR's; noise: in flat places, after over before; means over photos"
)


@dataclass(frozen=True, slots=True)
class PhotoArtefacts:
    """One method's numbers on one photo, and the (x, y) px where each of `KINDS` is worst."""

    phone: str
    method: str
    shot: str
    numbers: Artefacts
    at: dict[str, tuple[int, int] | None]


@dataclass(frozen=True, slots=True)
class Worst:
    """The photo on which an artefact of a method is strongest, and the (x, y) px where."""

    shot: str
    value: float
    at: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class MethodArtefacts:
    """A method's numbers over all photos: the means of `Artefacts` by name, and the worst photo by kind."""

    phone: str
    method: str
    kind: Kind
    note: str
    photos: int
    means: dict[str, Estimate]
    worst: dict[str, Worst]


@dataclass(slots=True)
class ArtefactReport:
    """What was found.

    photos    phone -> how many photos were looked at, of how many
    problems  pictures made elsewhere that could not be judged, each with why
    """

    split: str
    methods: list[MethodArtefacts] = field(default_factory=list)
    by_photo: list[PhotoArtefacts] = field(default_factory=list)
    photos: dict[str, tuple[int, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def how(self) -> str:
        """What the numbers are."""
        return f"{self.split} split, whole photos; {WORDS}"


@dataclass(frozen=True, slots=True)
class Look:
    """A photo, a method's version of it, and what was found, for who wants to show it.

    dslr   on the phone's pixels; known is where it shows anything
    """

    photo: HeldOut
    dslr: U8
    known: Bools
    method: Method
    enhanced: U8
    judged: Judged


def find_artefacts(
    workspace: Workspace,
    *,
    phones: Sequence[str],
    split: SplitName,
    progress: Progress,
    runs: Sequence[str] = (),
    externals: Sequence[tuple[str, Path]] = (),
    device: str = "auto",
    at_most: int = 0,
    show: Callable[[Look], None] = lambda _: None,
) -> ArtefactReport:
    """Enhance whole photos by every method, one in memory at a time, and measure them.

    runs     those to measure, finished or not; empty: all that are finished
    at_most  so many photos of each phone, evenly spaced; 0: all
    show     is called with each version of each photo

    Raises:
        CorpusError: there are no patches in this split, or no photos but patches alone.
        UsageError: as `evaluate` does.
        ImageError: a photo cannot be read.
    """
    report = ArtefactReport(split)
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        held_out, names = find_held_out(corpus, split, phones)
        for phone in names:
            photos = HeldOutPhotos(workspace, corpus, held_out, phone, at_most=at_most)
            methods = all_methods(
                workspace, corpus, phone, photos.paths, progress, runs=runs, externals=externals, device=device
            )
            found = _look_at_all(workspace, corpus, phone, photos, methods, progress, report.problems, show)
            report.by_photo += found
            report.photos[phone] = len(photos), photos.of
            report.methods += _summaries(phone, methods, found)
    return report


def _look_at_all(
    workspace: Workspace,
    corpus: Corpus,
    phone: str,
    photos: HeldOutPhotos,
    methods: Sequence[Method],
    progress: Progress,
    problems: list[str],
    show: Callable[[Look], None],
) -> list[PhotoArtefacts]:
    found = []
    progress.start(f"artefacts {phone}", len(photos))
    for photo in photos:
        dslr, known = dslr_on_phone(workspace, corpus, photo.pair, photo.rgb.shape)
        found += _look_at(photo, dslr, known, methods, problems, show)
        del dslr, known  # before the next photo is read
        progress.advance(note=photo.shot)
    progress.done(f"{len(methods)} methods on {len(photos)} photos")
    return found


def _look_at(
    photo: HeldOut,
    dslr: U8,
    known: Bools,
    methods: Sequence[Method],
    problems: list[str],
    show: Callable[[Look], None],
) -> list[PhotoArtefacts]:
    found = []
    scene = Scene(photo.rgb, dslr, known)
    for method in methods:
        try:
            enhanced = method.whole(photo)
        except ImageError as error:
            if method.kind != "external":
                raise
            problems.append(error.cause)
            continue
        judged = scene.judge(enhanced)
        at = {kind: getattr(judged, kind).worst() for kind in KINDS}
        found.append(PhotoArtefacts(photo.pair.phone, method.name, photo.shot, judged.numbers, at))
        show(Look(photo, dslr, known, method, enhanced, judged))
    return found


def _summaries(phone: str, methods: Sequence[Method], found: Sequence[PhotoArtefacts]) -> list[MethodArtefacts]:
    summaries = []
    for method in methods:
        mine = [each for each in found if each.method == method.name]
        if not mine:
            continue
        means = {}
        for name in Artefacts.__slots__:
            values = [value for each in mine if (value := getattr(each.numbers, name)) is not None]
            if values:
                means[name] = estimate_mean(np.array(values))
        worst = {kind: strongest for kind in KINDS if (strongest := _worst(kind, mine)) is not None}
        summaries.append(MethodArtefacts(phone, method.name, method.kind, method.note, len(mine), means, worst))
    return summaries


def _worst(kind: str, mine: Sequence[PhotoArtefacts]) -> Worst | None:
    values = [(value, each) for each in mine if (value := getattr(each.numbers, KINDS[kind])) is not None]
    if not values:
        return None
    value, each = max(values, key=lambda pair: pair[0])
    return Worst(each.shot, value, each.at[kind])
