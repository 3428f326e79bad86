"""`dpedkit study new`: choose photos, let every method make its version of them, and fix the plan."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from dpedkit.db import Corpus, open_corpus, using_shards
from dpedkit.errors import CorpusError, StudyError, UsageError
from dpedkit.files import atomic_folder, write_atomic
from dpedkit.progress import Progress, track
from dpedkit.stages.held_out import HeldOut, HeldOutPhotos, dslr_on_phone, find_held_out
from dpedkit.stages.methods import Method, runs_of
from dpedkit.stages.places import find_place
from dpedkit.stages.study.designing import DSLR, PHONE, Design, Wish, command, draw_up
from dpedkit.stages.study.pictures import show, spoil, write_picture
from dpedkit.stages.study.plan import DEGRADED, PICTURES, PLAN_FILE, Scene, StudyPlan, Trial, load_plan
from dpedkit.stages.study.trials import Slot
from dpedkit.types import U8
from dpedkit.workspace import Workspace

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class NewStudy:
    """What was planned; folder is None where that was all."""

    name: str
    design: Design
    half_width: float
    folder: Path | None
    digest: str
    pictures: int


def new_study(
    workspace: Workspace, name: str, wish: Wish, *, device: str, dry_run: bool, progress: Progress
) -> NewStudy:
    """Plan a study and make its pictures: study/NAME is whole or not there. What is there already is not made again.

    dry_run  only say what would be planned

    Raises:
        UsageError: no such phone or run, or a name that cannot be a folder's.
        StudyError: a study of this name was planned otherwise, or a photo has no place to show.
        CorpusError: there are too few photos.
    """
    folder = workspace.studies / name
    if not _NAME.fullmatch(name):
        raise UsageError(f"a study cannot be called {name!r}", "use letters, digits, '-', '_' and '.'")
    with using_shards(workspace.patches), open_corpus(workspace.root, workspace.settings.database) as corpus:
        patches, phones = find_held_out(corpus, wish.split, [wish.phone] if wish.phone else [])
        if len(phones) > 1:
            raise UsageError(f"there are photos of {', '.join(phones)}", "say with --phone whose a study shows")
        runs = runs_of(workspace, corpus, phones[0], progress, runs=wish.runs, device=device)
        design = draw_up(workspace, corpus, patches, phones[0], runs, wish)
        plan = load_plan(folder) if folder.exists() else None
        if plan is None and not dry_run:
            folder.parent.mkdir(exist_ok=True)
            with atomic_folder(folder) as part:
                plan = _make(workspace, corpus, part, name, design, runs, wish, progress)
    if plan is None:
        return NewStudy(name, design, wish.half_width, None, "", 0)
    if plan.command != command(name, wish) or plan.methods != design.methods:
        raise StudyError(
            f"study {name} is there already, planned otherwise", "a plan is never changed: choose another name"
        )
    count = len({picture for trial in plan.trials for picture in trial.pictures})
    return NewStudy(name, design, wish.half_width, folder, plan.digest, count)


class _Maker:
    """Makes the pictures of photos, one photo in memory at a time."""

    def __init__(
        self, workspace: Workspace, corpus: Corpus, folder: Path, design: Design, runs: Sequence[Method]
    ) -> None:
        self._workspace, self._corpus, self._folder = workspace, corpus, folder
        self._design = design
        self._runs = {run.name: run for run in runs}
        self.scenes: list[Scene] = []
        self.size = (0, 0)
        self._files: dict[tuple[str, str, bool], str] = {}

    def add(self, photo: HeldOut) -> None:
        """Make what the trials show of a photo."""
        slots = [slot for slot in self._design.slots if slot.scene == photo.shot]
        dslr, known = dslr_on_phone(self._workspace, self._corpus, photo.pair, photo.rgb.shape)
        view = self._design.view
        place = find_place(photo.shot, dslr, known, view)
        wanted = {method for slot in slots for method in slot.methods} - {DEGRADED}
        shown: dict[str, U8] = {}
        for method in sorted(wanted):
            whole = dslr if method == DSLR else photo.rgb if method == PHONE else self._runs[method].whole(photo)
            shown[method] = show(whole, place, view)
            self._keep(photo.shot, method, shown[method])
        for slot in slots:
            if slot.kind == "catch":
                self._keep(photo.shot, slot.methods[0], spoil(shown[slot.methods[0]]), spoilt=True)
        self.size = next(iter(shown.values())).shape[1::-1]
        training = photo.shot in self._design.training
        self.scenes.append(Scene(shot=photo.shot, x=place.x, y=place.y, training=training))

    def trial(self, number: int, slot: Slot) -> Trial:
        """Return a trial with its pictures."""
        first, second = slot.methods
        spoilt = second == DEGRADED
        pictures = self._files[slot.scene, first, False], self._files[slot.scene, first if spoilt else second, spoilt]
        return Trial(
            id=f"t{number:03d}",
            kind=slot.kind,
            scene=slot.scene,
            methods=slot.methods,
            pictures=pictures,
            again=slot.again,
        )

    def _keep(self, shot: str, method: str, rgb: U8, *, spoilt: bool = False) -> None:
        self._files[shot, method, spoilt] = write_picture(self._folder, rgb)


def _make(
    workspace: Workspace,
    corpus: Corpus,
    part: Path,
    name: str,
    design: Design,
    runs: Sequence[Method],
    wish: Wish,
    progress: Progress,
) -> StudyPlan:
    """Make the pictures and the plan in a folder that becomes the study's."""
    (part / PICTURES).mkdir()
    patches = corpus.patches()
    patches = patches[patches["used"] & patches["shot"].isin([*design.shots, *design.training])]
    photos = HeldOutPhotos(workspace, corpus, patches, design.phone)
    if not photos.has_photos:
        raise CorpusError(f"of {design.phone} only patches were given", "a study shows photos: import them")
    maker = _Maker(workspace, corpus, part / PICTURES, design, runs)
    for photo in track(progress, "pictures", photos, len(photos)):
        maker.add(photo)
    plan = StudyPlan(
        name=name,
        created=f"{datetime.now(UTC):%Y-%m-%dT%H:%MZ}",
        made_by=f"dpedkit {version('dpedkit')}",
        command=command(name, wish),
        seed=wish.seed,
        question=wish.question,
        phone=design.phone,
        split=wish.split,
        width=maker.size[0],
        height=maker.size[1],
        methods=design.methods,
        comparisons=design.comparisons,
        scenes=tuple(maker.scenes),
        trials=tuple(maker.trial(number, slot) for number, slot in enumerate(design.slots)),
        half_width=wish.half_width,
        subjects=design.subjects,
        assumed_sd=design.assumed_sd,
    )
    write_atomic(part / PLAN_FILE, plan.model_dump_json(indent=1).encode())
    return plan
